"""Feedback and predictions as Arrow columns: for whoever looks at a million of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, Select, Text, case, literal, select, type_coerce

from volant.store import tables
from volant.store.feedback import first_keys
from volant.store.validity import Validity

_LOT = 20_000
_FEEDBACK = ("seq", "id", "prediction_id", "target", "kind", "value", "actor", "source", "event_at", "received_at")
_FEEDBACK_SCHEMA = pa.schema(
    [("seq", pa.int64()), *((name, pa.string()) for name in _FEEDBACK[1:]), ("supersedes", pa.string())]
)
_PREDICTION_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("release", pa.string()),
        ("policy", pa.string()),
        ("propensity", pa.float64()),
        ("audit", pa.bool_()),
        ("subject", pa.string()),
        ("input", pa.string()),
        ("output", pa.string()),
        ("at", pa.string()),
    ]
)


class EvidenceColumns(Validity):
    """The same evidence as `voices` gives, with values, inputs and outputs as JSON texts."""

    def feedback_table(self) -> pa.Table:
        """Every piece of feedback that was not withdrawn, in the order it came in.

        Whoever spoke with a key is `actor@key`, by the first of keys that replaced each other: the trust that an actor
        earned with one key is not had by naming the same actor with another one.
        """
        query = _select(tables.feedback, _FEEDBACK_SCHEMA, actor=self._speaker()).where(tables.feedback.c.valid)
        return self._table(query, _FEEDBACK_SCHEMA)

    def _speaker(self) -> ColumnElement[str]:
        """The name of an actor together with the key."""
        actor, key = tables.feedback.c.actor, tables.feedback.c.api_key
        with self._database.read() as connection:
            first = first_keys(connection)
        renewed = {id: root for id, root in first.items() if id != root}
        known = case(renewed, value=key, else_=key) if renewed else key
        return case((key.is_(None), actor), else_=actor + literal("@") + known)

    def answered_table(self) -> pa.Table:
        """The predictions that such feedback is about, in no particular order."""
        answered = select(tables.feedback.c.prediction_id).where(tables.feedback.c.valid)
        query = _select(tables.prediction, _PREDICTION_SCHEMA).where(tables.prediction.c.id.in_(answered))
        return self._table(query, _PREDICTION_SCHEMA)

    def prediction_table(self, since: str = "", before: str = "9999", *, audited: bool = False) -> pa.Table:
        """All predictions made from `since` on and before `before` (ISO 8601), or the audited ones of them."""
        at = tables.prediction.c.at
        query = _select(tables.prediction, _PREDICTION_SCHEMA).where(at >= since, at < before)
        return self._table(query.where(tables.prediction.c.audit) if audited else query, _PREDICTION_SCHEMA)

    def _table(self, query: Select[Any], schema: pa.Schema) -> pa.Table:
        with self._database.read() as connection:
            return pa.Table.from_batches([_batch(rows, schema) for rows in _lots(connection, query)], schema)


def _lots(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Any]]:
    """The rows of a query, many at a time. SQLite's are taken as they are: records of them take a third more."""
    if connection.dialect.name != "sqlite":
        yield from connection.execution_options(yield_per=_LOT).execute(query).partitions()
        return
    cursor = connection.execute(query).cursor
    assert cursor is not None
    while lot := cursor.fetchmany(_LOT):
        yield lot


def _select(table: Any, schema: pa.Schema, **instead: ColumnElement[Any]) -> Select[Any]:
    """The columns of a schema, or others instead, JSON as the text that it is kept as, feedback in its order."""
    taken = {field.name: instead.get(field.name, table.c[field.name]) for field in schema}
    columns = [type_coerce(taken[f.name], Text) if pa.types.is_string(f.type) else taken[f.name] for f in schema]
    query = select(*columns)
    return query.order_by(table.c.seq) if "seq" in table.c else query


def _batch(rows: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = [_column(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values of a driver, which may have 0 and 1 for no and yes."""
    return pa.array(map(bool, values) if pa.types.is_boolean(kind) else values, type=kind)
