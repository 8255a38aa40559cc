"""Files that cannot be read: damaged pictures, files of other kinds, files that are not there."""

from __future__ import annotations

from collections.abc import Sequence

from volant.columns.media import is_media
from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, many, share

MOST = 0.1
"""Share of the files beyond which something is wrong with all of them, and training stops."""

SHOWN = 5


class UnreadableMedia(DataCheck):
    """Warns about files that cannot be read, and names them; stops where they are many."""

    name = "unreadable_media"
    summary = "Every picture can be decoded."
    aspect = "completeness"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        columns = [c.name for c in data.schema.columns if is_media(c.type)]
        counts = {name: context.unreadable_count.get(name, len(context.unreadable.get(name, ()))) for name in columns}
        return [self._column(name, count, len(data), context) for name, count in counts.items() if count]

    def _column(self, name: str, count: int, rows: int, context: CheckContext) -> Finding:
        paths = list(context.notes.get("unreadable_files", {}).get(name, ()))
        more = " and others" if count > SHOWN else ""
        named = f": {', '.join(paths[:SHOWN])}{more}" if paths else ""
        part = count / max(rows, count)
        make = self._stop if part > MOST else self._warn
        return make(
            f"{many(count, 'file', 'files')} of {name!r} cannot be read ({share(part, 1)}){named}",
            "replace these files; rows without them stay, unless data.unreadable says leave_out",
            column=name,
            rows=tuple(int(row) for row in context.unreadable.get(name, ())[:20]),
            count=count,
            score=min(1.0, 0.2 + 2 * part),
        )
