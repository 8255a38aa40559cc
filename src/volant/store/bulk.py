"""Many rows of SQLite as Arrow columns: each column of a lot comes as one text, which is cut apart in one go.

A cell that becomes an object of Python costs more than all else that is done with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Table,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import DataError

FIRST, MOST = 200, 20_000
"""Rows of the first lot, and of any."""
LOT_BYTES = 32 << 20
"""What a lot may roughly weigh."""
_ROWID: ColumnElement[int] = literal_column("rowid")


def batches(
    connection: Connection,
    table: Table,
    taken: Mapping[str, ColumnElement[Any]],
    schema: pa.Schema,
    where: Sequence[ColumnElement[bool]],
) -> Iterator[pa.RecordBatch]:
    """The rows of a table in the order in which they were written, as many at a time as is good.

    Args:
        connection: in a transaction, so that all lots are of one state.
        table: that is read; it has row ids.
        taken: the columns, by the names of the schema, texts as texts.
        schema: of the batches.
        where: which rows.
    """
    rows = _row_ids(connection, table, where)
    start, size = 0, FIRST
    while start < len(rows):
        lot = rows[start : start + size]
        batch = _lot(connection, table, taken, schema, lot)
        if batch is None:
            batch = _one_by_one(connection, table, taken, schema, lot)
        yield batch
        start += len(lot)
        size = int(np.clip(LOT_BYTES * len(lot) // max(batch.nbytes, 1), 1, min(4 * size, MOST)))


def _row_ids(connection: Connection, table: Table, where: Sequence[ColumnElement[bool]]) -> np.ndarray:
    cursor = connection.execute(select(_ROWID).select_from(table).where(*where)).cursor
    assert cursor is not None
    parts = [np.empty(0, dtype=np.int64)]
    while some := cursor.fetchmany(MOST):
        parts.append(np.array(some, dtype=np.int64)[:, 0])
    return np.sort(np.concatenate(parts))


def _within(lot: np.ndarray) -> ColumnElement[bool]:
    """Whether a row is of a lot."""
    if int(lot[-1]) - int(lot[0]) + 1 == len(lot):
        return _ROWID.between(bindparam("first", int(lot[0])), bindparam("last", int(lot[-1])))
    listed = func.json_each(bindparam("rows", json.dumps(lot.tolist()))).table_valued(column("value"))
    return _ROWID.in_(select(listed.c.value))


def _lot(
    connection: Connection, table: Table, taken: Mapping[str, ColumnElement[Any]], schema: pa.Schema, lot: np.ndarray
) -> pa.RecordBatch | None:
    """A lot of rows; None where a text holds what divides texts, or all of a column is too large for one text."""
    asked = [_ROWID, *(_as_text(one, schema.field(name).type) for name, one in taken.items())]
    joined = [cast(func.group_concat(one, func.char(0)), LargeBinary) for one in asked]
    lacking = [name for name in taken if name in table.c and table.c[name].nullable]
    counts = [func.count() - func.count(taken[name]) for name in lacking]
    try:
        found: Sequence[Any] = connection.execute(select(*joined, *counts).select_from(table).where(_within(lot))).one()
    except DataError:
        return None
    columns = [_cut(data, len(lot)) for data in found[: len(joined)]]
    if any(one is None for one in columns):
        return None
    where = columns[0].cast(pa.int64()).to_numpy()
    missing = dict(zip(lacking, found[len(joined) :], strict=True))
    marks = {name: np.ones(len(lot), dtype=bool) for name, count in missing.items() if count}
    some = [name for name in marks if missing[name] < len(lot)]
    if some:
        gone = _lacking(connection, table, [taken[name] for name in some], lot)
        marks |= {name: one[np.searchsorted(lot, where)] for name, one in zip(some, gone, strict=True)}
    arrays = [
        _typed(values, marks.get(name), schema.field(name).type)
        for name, values in zip(taken, columns[1:], strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return batch if (np.diff(where) > 0).all() else batch.take(pa.array(np.argsort(where)))


def _as_text(one: ColumnElement[Any], kind: pa.DataType) -> ColumnElement[Any]:
    """A column as SQLite joins it to a text; only numbers with a fraction need words that give them back to the bit."""
    if pa.types.is_string(kind):
        return func.ifnull(one, "")
    return func.quote(one) if pa.types.is_floating(kind) else one


def _lacking(
    connection: Connection, table: Table, columns: Sequence[ColumnElement[Any]], lot: np.ndarray
) -> list[np.ndarray]:
    """Which rows of a lot have no value, by column."""
    query = select(*(one.is_(None) for one in columns)).select_from(table).where(_within(lot)).order_by(_ROWID)
    cursor = connection.execute(query).cursor
    assert cursor is not None
    return list(np.array(cursor.fetchall(), dtype=bool).T)


def _cut(data: bytes | None, count: int) -> Any:
    """So many texts out of one in which a zero byte divides them; None where there are more or fewer."""
    whole = np.frombuffer(data or b"", dtype=np.uint8)
    ends = np.flatnonzero(whole == 0)
    if len(ends) != count - 1 or len(whole) >= 1 << 31:
        return None
    offsets = np.zeros(count + 1, dtype=np.int32)
    offsets[1:count] = ends - np.arange(count - 1)
    offsets[count] = len(whole) - (count - 1)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(whole[whole != 0]))


def _typed(values: Any, gone: np.ndarray | None, kind: pa.DataType) -> Any:
    """Texts as what they stand for; those that are `gone` are null."""
    if gone is not None and gone.all():
        return pa.nulls(len(values), kind)
    if gone is not None:
        bits = pa.py_buffer(np.packbits(~gone, bitorder="little"))
        return pa.StringArray.from_buffers(len(values), *values.buffers()[1:], null_bitmap=bits)
    return values if pa.types.is_string(kind) else values.cast(kind)


def _one_by_one(
    connection: Connection, table: Table, taken: Mapping[str, ColumnElement[Any]], schema: pa.Schema, lot: np.ndarray
) -> pa.RecordBatch:
    """The same, cell by cell."""
    query = select(*taken.values()).select_from(table).where(_within(lot)).order_by(_ROWID)
    return cells(list(connection.execute(query)), schema)


def cells(rows: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    """Rows of a driver, which may have 0 and 1 for no and yes."""
    columns = [_column(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(map(bool, values) if pa.types.is_boolean(kind) else values, type=kind)
