"""Letting go of what is old: predictions and what was said of them, never while a turn works with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select

from volant.store import tables
from volant.store.audit import Audit
from volant.store.part import fields
from volant.store.predictions import in_lots
from volant.store.records import PredictionRecord
from volant.store.turns import OPEN

_prediction, _feedback = tables.prediction, tables.feedback
_GO_WITH_IT = ("feedback", "shadow", "impression", "question")
"""Tables whose rows belong to a prediction and go with it."""


class Retention(Audit):
    """Finds what is older than a rule allows, and removes it."""

    def turn_is_open(self) -> bool:
        """Whether a turn was begun and has not ended: what it works with must stay."""
        with self._database.read() as connection:
            return _turn_is_open(connection)

    def old_predictions(self, before: str, after: str = "", lot: int = 5_000) -> list[PredictionRecord]:
        """Predictions made before a time that nobody said anything of and nobody is asked about, by id, in lots."""
        return self._old(_prediction.c.at < before, ~_spoken(), after=after, lot=lot)

    def old_evidence(self, before: str, after: str = "", lot: int = 5_000) -> list[PredictionRecord]:
        """Predictions made before a time of which something was said, the last of it before that time, too."""
        last = select(func.max(_feedback.c.received_at)).where(_feedback.c.prediction_id == _prediction.c.id)
        return self._old(_prediction.c.at < before, _spoken(), last.scalar_subquery() < before, after=after, lot=lot)

    def _old(self, *rules: ColumnElement[bool], after: str, lot: int) -> list[PredictionRecord]:
        query = select(_prediction).where(_prediction.c.id > after, ~_asked(), *rules).order_by(_prediction.c.id)
        with self._database.read() as connection:
            return [PredictionRecord(**fields(row)) for row in connection.execute(query.limit(lot))]

    def feedback_on(self, predictions: Collection[str]) -> list[dict[str, Any]]:
        """Everything that was said of some predictions, revoked or not."""
        found: list[dict[str, Any]] = []
        with self._database.read() as connection:
            for some in in_lots(predictions):
                query = select(_feedback).where(_feedback.c.prediction_id.in_(some)).order_by(_feedback.c.seq)
                found += [fields(row) for row in connection.execute(query)]
        return found

    def let_go(self, predictions: Collection[str], *, evidence: bool) -> Mapping[str, int]:
        """Remove predictions with all that belongs to them; without `evidence` only those of which nothing was said.

        What was said, or asked, since they were found keeps them. How many rows went from each table.
        """
        gone = dict.fromkeys(("prediction", *_GO_WITH_IT), 0)
        with self._database.write() as connection:
            if _turn_is_open(connection):
                return gone
            for some in in_lots(predictions):
                rules = [_prediction.c.id.in_(some), ~_asked(), *(() if evidence else (~_spoken(),))]
                ids = list(connection.execute(select(_prediction.c.id).where(*rules)).scalars())
                for name in _GO_WITH_IT:
                    table = getattr(tables, name)
                    gone[name] += connection.execute(delete(table).where(table.c.prediction_id.in_(ids))).rowcount
                gone["prediction"] += connection.execute(delete(_prediction).where(_prediction.c.id.in_(ids))).rowcount
            self._note(connection, "retain", "", {name: count for name, count in gone.items() if count})
        return gone


def _turn_is_open(connection: Connection) -> bool:
    return connection.execute(select(tables.turn.c.id).where(tables.turn.c.ended_at.is_(None))).first() is not None


def _spoken() -> ColumnElement[bool]:
    """Whether anything was said of a prediction."""
    return exists().where(_feedback.c.prediction_id == _prediction.c.id)


def _asked() -> ColumnElement[bool]:
    """Whether somebody is asked about a prediction and has not answered yet."""
    return exists().where(tables.question.c.prediction_id == _prediction.c.id, tables.question.c.state == OPEN)
