"""Columns of many JSON objects at once: what the store keeps as text, as Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

LOT = 50_000
"""Objects that are parsed together."""


def json_columns(texts: pa.ChunkedArray) -> pa.Table:
    """The fields of JSON objects as columns, null where an object lacks one; one row per object, in their order.

    Fields of one type become Arrow columns of that type, objects become structs, and texts stay texts, whatever they
    look like. Where types are mixed, numbers and booleans become the texts that they were written as.
    """
    parts, dates = [], dict[str, pa.DataType]()
    for start in range(0, len(texts), LOT):
        part = _parsed(texts.slice(start, LOT), dates)
        told = {field.name: _as_texts(field.type) for field in part.schema if _as_texts(field.type) != field.type}
        if told:  # Arrow takes texts that look like dates for times
            dates |= told
            part = _parsed(texts.slice(start, LOT), dates)
        parts.append(part)
    if not parts:
        return pa.table({})
    return pa.concat_tables(_alike(parts), promote_options="permissive")


def _parsed(texts: pa.ChunkedArray, known: dict[str, pa.DataType]) -> pa.Table:
    """A lot, with the row number in the column "" so that a table without fields has rows too."""
    joined = pc.binary_join(pa.ListArray.from_arrays([0, len(texts)], texts.combine_chunks()), "\n")[0].as_buffer()
    options = pa.json.ReadOptions(use_threads=False, block_size=max(2 * joined.size, 1024))
    schema = pa.json.ParseOptions(explicit_schema=pa.schema(list(known.items())) if known else None)
    try:
        found = pa.json.read_json(pa.BufferReader(joined), read_options=options, parse_options=schema)
        if len(found) == len(texts) and found.num_columns:
            return found
    except pa.ArrowInvalid:
        pass
    return _one_by_one(texts)


def _as_texts(kind: pa.DataType) -> pa.DataType:
    """A type with texts in the place of times."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_as_texts(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_texts(field.type)) for field in kind])
    return kind


def _one_by_one(texts: pa.ChunkedArray) -> pa.Table:
    """The same for objects whose fields change their types, or that hold none."""
    rows = [json.loads(text) for text in texts.to_pylist()]
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return pa.table(columns) if columns else pa.table({"": pa.nulls(len(rows))})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values])


def _alike(parts: list[pa.Table]) -> Iterator[pa.Table]:
    """Tables whose columns of one name have types that go together: texts where they do not."""
    kinds: dict[str, list[pa.Field]] = {}
    for part in parts:
        for field in part.schema:
            kinds.setdefault(field.name, []).append(field)
    mixed = {name for name, fields in kinds.items() if not _go_together(fields)}
    for part in parts:
        for place, field in enumerate(part.schema):
            if field.name in mixed and not pa.types.is_string(field.type):
                part = part.set_column(place, field.name, _texts(part.column(place)))
        yield part


def _go_together(fields: list[pa.Field]) -> bool:
    """Whether one type holds what all of these hold."""
    try:
        pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True


def _texts(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_nested(column.type):
        return pa.array([None if v is None else json.dumps(v) for v in column.to_pylist()], pa.string())
    return column.cast(pa.string()).combine_chunks()
