"""A folder of files with the same columns, read one after the other in the order of their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from volant.columns.cells import text_of
from volant.core.ids import digest
from volant.data.sources.place import File, format_of, unknown_format
from volant.data.sources.source import Source
from volant.errors import BadInput, Trouble, nearest


def files_of(folder: Path) -> tuple[list[File], list[str]]:
    """The data files directly in a folder, sorted by name, and the names of the others.

    Raises:
        BadInput: codes `source-missing` (an empty folder) and `source-format` (no data file in it).
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "_")))
    except OSError as cause:
        fix = "check that you may read it"
        got = type(cause).__name__
        raise BadInput(
            "the folder cannot be read", code="source-missing", where=str(folder), got=got, fix=fix
        ) from None
    kinds = [(path, format_of(path)) for path in paths]
    found = [File(path, kind) for path, kind in kinds if kind is not None and kind != "photos"]
    others = [path.name for path, kind in kinds if kind in (None, "photos")]
    if not paths:
        fix = "put data files into it, or name another folder"
        raise BadInput("the folder holds no files", code="source-missing", where=str(folder), fix=fix)
    if not found:
        raise unknown_format(paths[0])
    return found, others


def open_folder(folder: Path, open_file: Callable[[File], Source]) -> Source:
    """Open all data files of a folder as one source.

    Raises:
        BadInput: code `column-missing`, naming each file and column that differs from the first file.
    """
    files, others = files_of(folder)
    parts = [open_file(file) for file in files]
    _same_columns(parts)
    schema = pa.schema([pa.field(name, _common([p.schema.field(name).type for p in parts])) for name in parts[0].names])
    notes: dict[str, Any] = {
        "format": "folder",
        "files": {},
        "parts": {part.location: part.notes for part in parts},
        **({"left_out": others} if others else {}),
    }
    return Source(
        folder.name,
        schema,
        lambda: _batches(parts, schema, notes),
        lambda: digest([[part.location, part.fingerprint] for part in parts]),
        notes,
        parts[0].missing,
        any(part.damaged for part in parts),
        beside=folder.absolute(),
    )


def _same_columns(parts: Sequence[Source]) -> None:
    first = parts[0]
    troubles: list[Trouble] = []
    for part in parts[1:]:
        for name in sorted(set(first.names) - set(part.names)):
            what = f"{part.location} has no column {name!r}, which {first.location} has"
            troubles.append(Trouble(what, part.location, choices=part.names, meant=nearest(name, part.names)))
        for name in sorted(set(part.names) - set(first.names)):
            what = f"{part.location} has a column {name!r}, which {first.location} does not have"
            troubles.append(Trouble(what, part.location, choices=first.names, meant=nearest(name, first.names)))
    troubles = troubles or _clashes(parts)
    if troubles:
        raise BadInput("the files of the folder do not have the same columns", code="column-missing", troubles=troubles)


def _clashes(parts: Sequence[Source]) -> list[Trouble]:
    """Columns that no common type can hold."""
    first = parts[0]
    return [
        Trouble(f"the column {name!r} is {kind} here and {first.schema.field(name).type} before", part.location)
        for part in parts[1:]
        for name, kind in ((field.name, field.type) for field in part.schema)
        if kind != first.schema.field(name).type and not all(map(_single, (kind, first.schema.field(name).type)))
    ]


def _single(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _batches(parts: Sequence[Source], schema: pa.Schema, notes: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    rows: dict[str, int] = {}
    for part in parts:
        for batch in part.chunks():
            columns = [_as(batch.column(field.name), field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
        rows[part.location] = part.notes["rows"]
    notes["files"] = rows


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    if len(set(kinds)) == 1:
        return kinds[0]
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        return pa.float64()
    if all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in kinds):
        return pa.large_string()
    return pa.string()


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if pa.types.is_floating(kind) or pa.types.is_large_string(kind):
        return array.cast(kind, safe=False)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.cast(kind)
    return pa.array([text_of(cell) for cell in array.to_pylist()], kind)
