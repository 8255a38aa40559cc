"""What the loop remembers: its turns, step by step, the alarms it raised, and the questions it put to reviewers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, update

from volant.core.ids import uuid7
from volant.store import tables
from volant.store.audit import Audit
from volant.store.part import fields
from volant.store.records import AlarmRow, QuestionRow, TurnRow

_turn, _alarm, _question = tables.turn, tables.alarm, tables.question
OPEN, ANSWERED, GONE = "open", "answered", "gone"


class Turns(Audit):
    """Turns that can be resumed, and what they leave behind."""

    def begin_turn(self, why: str) -> TurnRow:
        """The turn that was cut short, if there is one, else a new one."""
        with self._database.write() as connection:
            row = connection.execute(
                select(_turn).where(_turn.c.ended_at.is_(None)).order_by(_turn.c.begun_at).limit(1)
            ).first()
            if row is not None:
                return TurnRow(**fields(row))
            values = {"id": uuid7(), "begun_at": self._now(), "ended_at": None, "why": why, "step": ""}
            made = connection.execute(
                _turn.insert().returning(*_turn.c), {**values, "outcome": None, "facts": {}}
            ).one()
            return TurnRow(**fields(made))

    def finish_step(
        self, id: str, step: str, facts: Mapping[str, Any], alarms: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Record that a step of a turn is done, and the alarms that it raised, in one transaction."""
        with self._database.write() as connection:
            before = connection.execute(select(_turn.c.facts).where(_turn.c.id == id)).scalar_one()
            values = {"step": step, "facts": {**before, step: dict(facts)}}
            connection.execute(update(_turn).where(_turn.c.id == id).values(values))
            now = self._now()
            for one in alarms:
                connection.execute(_alarm.insert().values({"at": now, **one}))

    def end_turn(self, id: str, outcome: str) -> None:
        """Record how a turn ended."""
        with self._database.write() as connection:
            connection.execute(update(_turn).where(_turn.c.id == id).values(ended_at=self._now(), outcome=outcome))

    def turns(self) -> list[TurnRow]:
        """All turns, oldest first."""
        with self._database.read() as connection:
            return [TurnRow(**fields(row)) for row in connection.execute(select(_turn).order_by(_turn.c.begun_at))]

    def alarms(self, after: int = 0) -> list[AlarmRow]:
        """All alarms, oldest first, or those after the one of that number."""
        query = select(_alarm).where(_alarm.c.seq > after).order_by(_alarm.c.seq)
        with self._database.read() as connection:
            return [AlarmRow(**fields(row)) for row in connection.execute(query)]

    def ask(self, questions: Sequence[Mapping[str, Any]], *, since: str = "", most: int | None = None) -> int | None:
        """Add questions about predictions that were not asked about before; how many there were.

        None, and nothing is added, where there would be more than `most` from `since` on: others asked meanwhile.
        """
        now, count = self._now(), 0
        with self._database.write() as connection:
            asked = select(func.count()).where(_question.c.asked_at >= since)
            if most is not None and int(connection.execute(asked).scalar_one()) + len(questions) > most:
                return None
            for one in questions:
                values = {"asked_at": now, "state": OPEN, "closed_at": None, "facts": {}, **one}
                count += connection.execute(self._database.insert_new(_question).values(values)).rowcount
        return count

    def questions(self, state: str | None = None) -> list[QuestionRow]:
        """All questions, the most pressing first, or those in one state."""
        query = select(_question).order_by(_question.c.score.desc(), _question.c.seq)
        with self._database.read() as connection:
            found = connection.execute(query if state is None else query.where(_question.c.state == state))
            return [QuestionRow(**fields(row)) for row in found]

    def asked_since(self, moment: str) -> int:
        """How many questions were asked at that time or later."""
        query = select(func.count()).where(_question.c.asked_at >= moment)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def close_questions(self, prediction_ids: Iterable[str], state: str = ANSWERED) -> None:
        """Record that nobody needs to look at these predictions any more."""
        with self._database.write() as connection:
            for one in prediction_ids:
                done = update(_question).where(_question.c.prediction_id == one, _question.c.state == OPEN)
                connection.execute(done.values(state=state, closed_at=self._now()))
