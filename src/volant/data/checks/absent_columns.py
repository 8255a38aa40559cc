"""Columns that the product file names and the data does not have."""

from __future__ import annotations

from collections.abc import Sequence

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck
from volant.errors import nearest


class AbsentColumns(DataCheck):
    """Stops when a named column is not there. Readers may list absent columns in `notes["absent"]`."""

    name = "absent_columns"
    summary = "Every column that the product file names is in the data."
    aspect = "completeness"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        wanted = [c.name for c in problem.inputs] if problem else []
        wanted += [str(name) for name in context.notes.get("absent", ())]
        known = data.schema.names
        return [self._absent(name, known) for name in dict.fromkeys(wanted) if name not in known]

    def _absent(self, name: str, known: Sequence[str]) -> Finding:
        meant = nearest(name, known)
        fix = f"did you mean {meant!r}? " if meant else ""
        return self._stop(
            f"the column {name!r} is not in the data",
            f"{fix}correct its name in volant.toml, or bring the column back into the data",
            column=name,
        )
