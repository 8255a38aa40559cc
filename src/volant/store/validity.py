"""Which feedback counts: withdrawn where it turned out to be void, and restored where that was a mistake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update

from volant.errors import BadInput, Trouble
from volant.store import tables
from volant.store.feedback import WITHDRAW, FeedbackLog
from volant.store.part import fields, iso
from volant.store.predictions import in_lots
from volant.store.records import FeedbackRow

RESTORE = "feedback.restore"
MOST_NAMED = 100
"""Ids that one row of the audit trail names."""
_table = tables.feedback


@dataclass(frozen=True)
class Which:
    """Feedback that is meant: all of what is given must hold. Times are ISO 8601, `before` itself not included."""

    ids: tuple[str, ...] = ()
    prediction: str | None = None
    actor: str | None = None
    source: str | None = None
    since: str | None = None
    before: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a row must fulfil, its id apart."""
        column = _table.c
        equal = {"prediction_id": self.prediction, "actor": self.actor, "source": self.source}
        found = [column[name] == value for name, value in equal.items() if value is not None]
        found += [column.received_at >= iso(datetime.fromisoformat(self.since))] if self.since else []
        found += [column.received_at < iso(datetime.fromisoformat(self.before))] if self.before else []
        return found


class Validity(FeedbackLog):
    """Feedback is never taken out; what is not valid is kept and counts for nothing."""

    def find_feedback(self, which: Which, most: int | None = None) -> list[FeedbackRow]:
        """The feedback that is meant, withdrawn or not, in the order it came in."""
        query = select(_table).where(*which.conditions()).order_by(_table.c.seq).limit(most)
        if which.ids:
            query = query.where(_table.c.id.in_(which.ids))
        return [FeedbackRow(**fields(row)) for row in self._stream(query)]

    def mark_feedback(self, ids: Sequence[str], *, valid: bool, reason: str = "") -> int:
        """Let feedback count no more, or again; how many pieces it changed. What these superseded counts accordingly.

        Raises:
            BadInput: code `feedback-invalid`: there is none of such an id; nothing is changed then.
        """
        changed: list[str] = []
        with self._database.write() as connection:
            known: dict[str, bool] = {}
            for some in in_lots(set(ids)):
                query = select(_table.c.id, _table.c.valid).where(_table.c.id.in_(some))
                known |= {row.id: bool(row.valid) for row in connection.execute(query)}
            unknown = [one for one in dict.fromkeys(ids) if one not in known]
            if unknown:
                troubles = [Trouble("there is no feedback of that id", "id", one[:64]) for one in unknown[:20]]
                raise BadInput("there is no such feedback", code="feedback-invalid", troubles=troubles)
            changed = [one for one in dict.fromkeys(ids) if known[one] != valid]
            for some in in_lots(set(changed)):
                connection.execute(update(_table).where(_table.c.id.in_(some)).values(valid=valid))
            if changed:
                facts = {"rows": len(changed), "reason": reason, "ids": changed[:MOST_NAMED]}
                self._note(connection, RESTORE if valid else WITHDRAW, changed[0], facts)
        return len(changed)
