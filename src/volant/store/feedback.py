"""Feedback: appended whole or not at all, durable once it is acknowledged, read back as voices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, tuple_, update

from volant.core.ids import canonical_json
from volant.core.records import Feedback
from volant.errors import BadInput, Trouble
from volant.store import tables
from volant.store.audit import Audit
from volant.store.erasure import tombstones
from volant.store.part import fields, iso
from volant.store.predictions import Predictions, in_lots
from volant.store.records import FeedbackRow, Receipt, Voice
from volant.store.validation import checked
from volant.store.voices import current_voices, voice_of

_PAGE = 1000
_table = tables.feedback
_Key = tuple[str, str]
_About = tuple[str, str, bytes, str]
"""The prediction, the kind, the value and the actor of some feedback."""

WITHDRAW = "feedback.withdraw"
"""What the audit trail calls it."""
REVIEWER = "reviewer"
"""The source that may take back what anybody said."""
STRANGER = "anon-"
"""How the names of actors begin who are never met again: a replay has another one."""


class FeedbackLog(Predictions, Audit):
    """The evidence: append-only, unique per (source, idempotency key), one current voice per actor."""

    def add_feedback(self, items: Sequence[Feedback], received_at: datetime | None = None) -> list[Receipt]:
        """Store feedback in one transaction; it is on disk on return. A replay gives the first receipt again.

        Raises:
            BadInput: code `prediction-unknown` or `feedback-invalid`, naming every bad item; nothing is stored.
            Failure: codes `store-full`, `store-failed`, `store-unavailable`.
        """
        outcome = self.add_feedback_groups([items], received_at)[0]
        if isinstance(outcome, BadInput):
            raise outcome
        return outcome

    def add_feedback_groups(
        self, groups: Sequence[Sequence[Feedback]], received_at: datetime | None = None
    ) -> list[list[Receipt] | BadInput]:
        """The same for the items of several callers in one transaction: a bad group fails alone."""
        received = iso(received_at) if received_at else self._now()
        rows = [checked(group, received) for group in groups]
        self._index_what_is_missing(rows)
        with self._database.write() as connection:
            return [found if isinstance(found, BadInput) else self._append(connection, found) for found in rows]

    def _append(self, connection: Connection, rows: list[dict[str, Any]]) -> list[Receipt] | BadInput:
        """Insert the rows of one group, and let what they take back count no more."""
        receipts = _append(connection, rows)
        if isinstance(receipts, BadInput):
            return receipts
        for row, receipt in zip(rows, receipts, strict=True):
            old = receipt.id if receipt.duplicate else row["supersedes"]
            if not row["valid"] and old is not None:
                self._withdraw(connection, old, {"by": row["id"], "source": row["source"]})
        return receipts

    def _withdraw(self, connection: Connection, id: str, facts: Mapping[str, Any]) -> None:
        """Let a piece of feedback count no more, once."""
        done = connection.execute(update(_table).where(_table.c.id == id, _table.c.valid).values(valid=False))
        if done.rowcount:
            self._note(connection, WITHDRAW, id, facts)

    def feedback_rows(self, after_seq: int = 0) -> Iterator[FeedbackRow]:
        """Everything ever stored, withdrawn and superseded rows included, in the order it came in."""
        query = select(_table).where(_table.c.seq > after_seq).order_by(_table.c.seq)
        for row in self._stream(query):
            yield FeedbackRow(**fields(row))

    def feedback_since(self, received_at: str) -> int:
        """How many pieces of feedback that still count were received at that time or later."""
        query = select(func.count()).where(_table.c.received_at >= received_at, _table.c.valid)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def export_feedback(self) -> Iterator[dict[str, Any]]:
        """The same as plain JSON data."""
        return (row.record() for row in self.feedback_rows())

    def voices(self, after_seq: int = 0) -> Iterator[Voice]:
        """What every actor says now about every (prediction, target, kind), by `seq`, newer than `after_seq`.

        The latest row by sequence speaks, whatever clocks said, unless it is withdrawn or superseded. All
        voices come from one state of the store, however long the iteration takes.
        """
        for row in self._stream(current_voices(after_seq)):
            yield voice_of(row)

    def _stream(self, query: Select[Any]) -> Iterator[Row[Any]]:
        with self._database.read() as connection:
            yield from connection.execution_options(yield_per=_PAGE).execute(query)

    def _index_what_is_missing(self, groups: Sequence[list[dict[str, Any]] | BadInput]) -> None:
        wanted = {row["prediction_id"] for group in groups if not isinstance(group, BadInput) for row in group}
        with self._database.read() as connection:
            known = _known_predictions(connection, wanted)
        if wanted - known:
            self.index_segments()


def _append(connection: Connection, rows: list[dict[str, Any]]) -> list[Receipt] | BadInput:
    """Insert the rows of one group that are not there yet, unless one of them is bad."""
    first, said, by = _first_receipts(connection, rows)
    new = _without_replays(rows, first)
    places = {row["id"]: f"items[{position}]" for position, row in enumerate(rows)}
    if troubles := _reused(rows, said, places):
        return BadInput("an idempotency key came with other feedback", code="feedback-invalid", troubles=troubles)
    if troubles := _taken_back_by_others(connection, rows, by, places):
        return BadInput("feedback takes back what it may not", code="feedback-invalid", troubles=troubles)
    if troubles := _unknown(connection, new, places):
        return BadInput("feedback names unknown predictions", code="prediction-unknown", troubles=troubles)
    if troubles := _erased(connection, new, places):
        return BadInput("feedback comes from somebody who was erased", code="feedback-invalid", troubles=troubles)
    if troubles := _wrong_succession(connection, new, places):
        return BadInput("feedback supersedes what it may not", code="feedback-invalid", troubles=troubles)
    fresh = _insert(connection, new)
    return [_receipt(row, fresh, first) for row in rows]


def _receipt(row: Mapping[str, Any], fresh: dict[str, Receipt], first: dict[_Key, Receipt]) -> Receipt:
    if row["id"] in fresh:
        if row["idempotency_key"] is not None:
            first[_key(row)] = Receipt(fresh[row["id"]].seq, row["id"], duplicate=True)
        return fresh[row["id"]]
    return first[_key(row)]


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> dict[str, Receipt]:
    if not rows:
        return {}
    statement = _table.insert().returning(_table.c.seq, _table.c.id, sort_by_parameter_order=True)
    return {row.id: Receipt(row.seq, row.id) for row in connection.execute(statement, rows)}


def _key(row: Mapping[Any, Any]) -> _Key:
    return row["source"], row["idempotency_key"]


def _about(row: Mapping[Any, Any]) -> _About:
    actor = STRANGER if row["actor"].startswith(STRANGER) else row["actor"]
    return row["prediction_id"], row["kind"], canonical_json(row["value"]), actor


def _reused(rows: list[dict[str, Any]], said: dict[_Key, _About], places: Mapping[str, str]) -> list[Trouble]:
    """Keys that came with other feedback, which is no replay: taken for one, it would be acknowledged and lost."""
    what, fix = "the key came with other feedback before", "use a new key for every new piece of feedback"
    return [
        Trouble(what, f"{places[row['id']]}.idempotency_key", None, (), fix)
        for row in rows
        if row["idempotency_key"] is not None and said.setdefault(_key(row), _about(row)) != _about(row)
    ]


def _taken_back_by_others(
    connection: Connection, rows: list[dict[str, Any]], by: Mapping[_Key, str | None], places: Mapping[str, str]
) -> list[Trouble]:
    """Repetitions that take back what came with another key of the service."""
    again = [row for row in rows if not row["valid"] and row["source"] != REVIEWER and _key(row) in by]
    first: dict[str | None, str] = dict(first_keys(connection).items()) if again else {}
    what = "only one's own feedback can be taken back"
    return [
        Trouble(what, f"{places[row['id']]}.valid")
        for row in again
        if first.get(by[_key(row)], by[_key(row)]) != first.get(row["api_key"], row["api_key"])
    ]


def _first_receipts(
    connection: Connection, rows: list[dict[str, Any]]
) -> tuple[dict[_Key, Receipt], dict[_Key, _About], dict[_Key, str | None]]:
    """Receipts of rows that were stored before under the same source and key, what those were about, and the key of
    the service that they came with."""
    keys = [_key(row) for row in rows if row["idempotency_key"] is not None]
    first: dict[_Key, Receipt] = {}
    said: dict[_Key, _About] = {}
    by: dict[_Key, str | None] = {}
    columns = _table.c.source, _table.c.idempotency_key, _table.c.seq, _table.c.id, _table.c.api_key
    for start in range(0, len(keys), _PAGE // 2):
        pair = tuple_(_table.c.source, _table.c.idempotency_key)
        query = select(*columns, _table.c.prediction_id, _table.c.kind, _table.c.value, _table.c.actor)
        for row in connection.execute(query.where(pair.in_(keys[start : start + _PAGE // 2]))).mappings():
            first[_key(row)] = Receipt(row["seq"], row["id"], duplicate=True)
            said[_key(row)], by[_key(row)] = _about(row), row["api_key"]
    return first, said, by


def _without_replays(rows: list[dict[str, Any]], first: dict[_Key, Receipt]) -> list[dict[str, Any]]:
    """Rows to insert: those without a key, and the first of each key that is not stored yet."""
    seen: set[_Key] = set(first)
    new = []
    for row in rows:
        if row["idempotency_key"] is None or _key(row) not in seen:
            new.append(row)
            seen.add(_key(row))
    return new


def _known_predictions(connection: Connection, ids: set[str]) -> set[str]:
    column = tables.prediction.c.id
    return {id for some in in_lots(ids) for id in connection.execute(select(column).where(column.in_(some))).scalars()}


def _unknown(connection: Connection, new: list[dict[str, Any]], places: Mapping[str, str]) -> list[Trouble]:
    known = _known_predictions(connection, {row["prediction_id"] for row in new})
    what, fix = "there is no prediction with that id", "send the id that came with the answer"
    return [
        Trouble(what, f"{places[row['id']]}.prediction_id", row["prediction_id"], (), fix)
        for row in new
        if row["prediction_id"] not in known
    ]


def _erased(connection: Connection, new: list[dict[str, Any]], places: Mapping[str, str]) -> list[Trouble]:
    """Items of actors who were erased: their names may not come back."""
    gone = tombstones(connection)
    back = {actor for actor in {row["actor"] for row in new} if gone.holds(actor)}
    what, fix = "nothing of this actor is kept any more", "leave it out"
    return [Trouble(what, f"{places[row['id']]}.actor", None, (), fix) for row in new if row["actor"] in back]


def _wrong_succession(connection: Connection, new: list[dict[str, Any]], places: Mapping[str, str]) -> list[Trouble]:
    """Actors may supersede what they themselves said about the same prediction, with the same key, nothing else.

    Reviewers may take back what anybody said about it.
    """
    wanted = {row["supersedes"] for row in new if row["supersedes"] is not None}
    first: dict[str | None, str] = dict(first_keys(connection).items()) if wanted else {}
    earlier: dict[str, tuple[str, str, str | None]] = {}
    for some in in_lots(wanted):
        columns = _table.c.prediction_id, _table.c.actor, _table.c.api_key
        for id, prediction, actor, key in connection.execute(
            select(_table.c.id, *columns).where(_table.c.id.in_(some))
        ):
            earlier[id] = prediction, actor, first.get(key, key)
    what = "only one's own feedback on the same prediction can be superseded"

    def may(row: Mapping[str, Any]) -> bool:
        old = earlier.get(row["supersedes"])
        if row["source"] == REVIEWER and not row["valid"]:
            return old is not None and old[0] == row["prediction_id"]
        return old == (row["prediction_id"], row["actor"], first.get(row["api_key"], row["api_key"]))

    return [
        Trouble(what, f"{places[row['id']]}.supersedes")
        for row in new
        if row["supersedes"] is not None and not may(row)
    ]


def first_keys(connection: Connection) -> dict[str, str]:
    """For each key of the service the first of those that it replaced, one after the other, or itself."""
    key = tables.api_key.c
    before = {row.id: row.replaces for row in connection.execute(select(key.id, key.replaces))}

    def first(id: str) -> str:
        while before.get(id):
            id = str(before[id])
        return id

    return {id: first(id) for id in before}
