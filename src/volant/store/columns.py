"""Feedback and predictions as Arrow columns: for whoever looks at a million of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import Select, Text, select, type_coerce

from volant.store import tables
from volant.store.feedback import FeedbackLog

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


class EvidenceColumns(FeedbackLog):
    """The same evidence as `voices` gives, with values, inputs and outputs as JSON texts."""

    def feedback_table(self) -> pa.Table:
        """Every piece of feedback that was not revoked, in the order it came in."""
        return self._table(_select(tables.feedback, _FEEDBACK_SCHEMA).where(tables.feedback.c.valid), _FEEDBACK_SCHEMA)

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
            cursor = connection.execution_options(yield_per=_LOT).execute(query).cursor
            assert cursor is not None
            lots = iter(
                lambda: cursor.fetchmany(_LOT), []
            )  # the driver's own rows: a record for each takes a third more
            return pa.Table.from_batches([_batch(rows, schema) for rows in lots], schema)


def _select(table: Any, schema: pa.Schema) -> Select[Any]:
    """The columns of a schema, JSON as the text that it is kept as, feedback in its order."""
    columns = [type_coerce(table.c[f.name], Text) if pa.types.is_string(f.type) else table.c[f.name] for f in schema]
    query = select(*columns)
    return query.order_by(table.c.seq) if "seq" in table.c else query


def _batch(rows: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = [_column(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values of a driver, which may have 0 and 1 for no and yes."""
    return pa.array(map(bool, values) if pa.types.is_boolean(kind) else values, type=kind)
