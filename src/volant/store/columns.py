"""Feedback and predictions as Arrow columns: for whoever looks at a million of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import ColumnElement, Table, Text, case, literal, select, type_coerce

from volant.store import tables
from volant.store.bulk import batches, cells
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
        said = tables.feedback
        return self._table(said, _FEEDBACK_SCHEMA, [said.c.valid], actor=self._speaker())

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
        said, made = tables.feedback, tables.prediction
        about = select(said.c.seq).where(said.c.prediction_id == made.c.id)
        void = select(said.c.prediction_id).where(~said.c.valid)  # few, and an index alone finds the others
        still = made.c.id.not_in(void) | about.where(said.c.valid).exists()
        return self._table(made, _PREDICTION_SCHEMA, [about.exists(), still])

    def prediction_table(self, since: str = "", before: str = "9999", *, audited: bool = False) -> pa.Table:
        """All predictions made from `since` on and before `before` (ISO 8601), or the audited ones of them."""
        made = tables.prediction.c
        audit = [made.audit] if audited else []
        return self._table(tables.prediction, _PREDICTION_SCHEMA, [made.at >= since, made.at < before, *audit])

    def _table(
        self, table: Table, schema: pa.Schema, where: Sequence[ColumnElement[bool]], **instead: ColumnElement[Any]
    ) -> pa.Table:
        """Some rows: the columns of a schema, or others instead, JSON as the text that it is kept as."""
        taken = {field.name: instead.get(field.name, table.c[field.name]) for field in schema}
        taken = {
            f.name: type_coerce(taken[f.name], Text) if pa.types.is_string(f.type) else taken[f.name] for f in schema
        }
        with self._database.read() as connection:
            if connection.dialect.name == "sqlite":
                return pa.Table.from_batches(batches(connection, table, taken, schema, where), schema)
            query = select(*taken.values()).where(*where)
            query = query.order_by(table.c.seq) if "seq" in table.c else query
            found = connection.execution_options(yield_per=_LOT).execute(query).partitions()
            return pa.Table.from_batches([cells(rows, schema) for rows in found], schema)
