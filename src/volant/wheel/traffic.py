"""Logged predictions as rows like those of the source: parsed by the rules of training, each on its own side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns.media import is_media, referred
from volant.columns.missing import with_missing
from volant.core.plugins import column_type
from volant.core.records import Batch, Schema
from volant.data.dataset import Dataset, SplitRule, table_to_batch
from volant.data.plain import json_columns
from volant.data.shelf import StoreShelf
from volant.data.splits import assign, row_keys
from volant.evidence.evidence import Predicted
from volant.store.packs import Packs


def canonical_rows(schema: Schema, predictions: Predicted, missing: Sequence[str] | None, packs: Packs) -> pa.Table:
    """What callers sent, and whose rows they are, as canonical columns; one row per prediction.

    Of media the hashes of the files in `packs`, as datasets store them.
    """
    sent, owner, n = json_columns(predictions.inputs), owner_of(schema), len(predictions)
    columns = {}
    for column in schema.columns:
        if column.role in ("target", "ignored"):
            continue
        kind = with_missing(column_type(column.type), missing)
        if column.name == owner:
            columns[column.name] = _parsed(kind, predictions.subject)
        elif is_media(column.type):
            given = sent.column(column.name).to_pylist() if column.name in sent.column_names else [None] * n
            columns[column.name] = _files(packs, given)
        elif column.name in sent.column_names:
            columns[column.name] = _parsed(kind, sent.column(column.name).combine_chunks())
        else:
            columns[column.name] = pa.nulls(n, kind.storage)
    return pa.table(columns)


def _files(packs: Packs, given: Sequence[Any]) -> pa.Array:
    """The hashes of files that predictions name and that are there."""
    names = [referred(cell) for cell in given]
    there = packs.has(names)
    return pa.array([name if known else None for name, known in zip(names, there, strict=True)], pa.string())


def _parsed(kind: Any, raw: pa.Array) -> pa.Array:
    """Canonical values; null where an earlier contract took what the column's type of today cannot read."""
    if not pa.types.is_nested(raw.type):
        return kind.parse(raw).values.cast(kind.storage)
    return pa.array([_cell(kind, value) for value in raw.to_pylist()], type=kind.storage)


def _cell(kind: Any, value: Any) -> Any:
    try:
        return kind.parse_cell(value)
    except (ValueError, TypeError, OverflowError):
        return None


def owner_of(schema: Schema) -> str | None:
    """The column that says whose row it is; callers send it as the `subject` of a request."""
    found = schema.of_role("subject") or schema.of_role("group")
    return found[0].name if found else None


def sides_of(source: Dataset, rows: pa.Table) -> np.ndarray:
    """The side of each row of traffic, (n,).

    Whatever shares its key with a test row stays out (`test`); the test set itself is frozen, so that other traffic
    whose hash points to it trains.
    """
    rule, owner = SplitRule(**source.facts["split"]), owner_of(source.schema)
    columns = list(rule.columns) or [column.name for column in source.schema.inputs]
    shown = [name for name in columns if name in rows.column_names]  # nobody sends what no model looks at any more
    keys = row_keys(rows, subject=owner, inputs=shown)
    known = source.take(np.flatnonzero(source.sides() != "unlabelled"))
    stored = known.keys()
    if len(shown) < len(columns):
        stored = row_keys(known.stored(), subject=owner, inputs=shown)
    place = pc.index_in(pa.array(keys, pa.string()), value_set=pa.array(stored, pa.string()))
    drawn, _ = assign(keys, salt=rule.salt, judge=rule.judge, test=rule.test)
    fresh = np.where(drawn == "test", "train", drawn)
    met = place.is_valid().to_numpy(zero_copy_only=False)
    at = place.fill_null(0).to_numpy(zero_copy_only=False)
    return np.where(met, known.sides()[at], fresh).astype(object) if len(known) else fresh.astype(object)


def arrays_of(schema: Schema, rows: pa.Table, home: Path) -> Batch:
    """Canonical rows of traffic as the arrays that pipelines take; media are read when somebody looks into a cell."""
    media = [name for name in rows.column_names if is_media(schema[name].type)]
    plain: dict[str, Any] = dict(table_to_batch(rows.drop_columns(media), schema))
    shelf = StoreShelf(home)
    plain |= {name: shelf.cells(rows.column(name).to_pylist()) for name in media}
    return plain
