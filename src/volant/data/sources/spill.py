"""Rows whose types are known only at their end: kept in a temporary file, given back under one schema."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from volant.columns.cells import plain, text_of
from volant.columns.timestamp import Timestamp
from volant.data.sources.source import REPLACEMENT, Source, no_rows, repaired_names
from volant.errors import Failure

ROWS = 16_384
_KINDS: Mapping[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    dt.datetime: pa.timestamp("us"),
    str: pa.string(),
}
_MOMENT = Timestamp(missing=frozenset())


class Spill:
    """Chunks of cells of any kind, on disk.

    A column of one kind keeps it (truth value, whole number, number, time, text); whole numbers and numbers
    become numbers; every other mixture becomes text, by the same rules as categories. Lists and objects
    become JSON text. `fingerprint` is the hash of all cells.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="volant-")  # noqa: SIM115 - closed with the object
        weakref.finalize(self, self._file.close)
        self._chunks: list[tuple[int, int]] = []
        self._kinds: dict[str, set[pa.DataType]] = {}
        self._mixed: set[str] = set()
        self._hash = hashlib.sha256()
        self.rows = 0
        self.lost = 0

    def add(self, columns: Mapping[str, Sequence[Any]], rows: int) -> None:
        """Add `rows` rows; the cells of columns that are not named are missing."""
        self._hash.update(repr(columns).encode("utf-8", "surrogatepass"))
        arrays = {name: self._array(name, [_cell(cell) for cell in cells]) for name, cells in columns.items()}
        for name, array in arrays.items():
            self._kinds.setdefault(name, set()).update(() if array.null_count == rows else (array.type,))
        batch = pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as out:
            out.write_batch(batch)
        try:
            self._chunks.append((self._file.write(sink.getvalue()), rows))
        except OSError as cause:
            fix = f"make room in {tempfile.gettempdir()}, or set TMPDIR to a folder on a larger disk"
            raise Failure("the rows do not fit into the temporary folder", code="too-large", fix=fix) from cause
        self.rows += rows

    def _array(self, name: str, cells: list[Any]) -> pa.Array:
        kinds = {_KINDS[type(cell)] for cell in cells if cell is not None}
        kind = _common(kinds)
        if kind == pa.string() and len(kinds) > 1:
            self._mixed.add(name)
            cells = [cell if isinstance(cell, str) else text_of(cell) for cell in cells]
        try:
            return pa.array(cells, kind)
        except UnicodeEncodeError:
            return self._mended(cells)
        except (pa.ArrowInvalid, OverflowError):
            return pa.array([text_of(cell) for cell in cells], pa.string())

    def _mended(self, cells: Sequence[str | None]) -> pa.Array:
        """Texts with halves of characters replaced."""
        whole = [c if c is None else c.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for c in cells]
        self.lost += sum(REPLACEMENT in cell for cell in whole if cell is not None)
        return pa.array(whole, pa.string())

    @property
    def fingerprint(self) -> str:
        return self._hash.hexdigest()

    @property
    def schema(self) -> pa.Schema:
        """The types that fit all chunks; columns without any value are texts."""
        return pa.schema([pa.field(name, _common(kinds)) for name, kinds in self._kinds.items()])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in their order, under `schema`."""
        start = 0
        for length, rows in self._chunks:
            self._file.seek(start)
            start += length
            with pa.ipc.open_stream(self._file.read(length)) as chunk:
                batch = chunk.read_next_batch()
            held = dict(zip(batch.schema.names, batch.columns, strict=True))
            columns = [
                _as(held[field.name], field.type) if field.name in held else pa.nulls(rows, field.type)
                for field in self.schema
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def source(
        self,
        location: str,
        identify: Callable[[], str],
        notes: Mapping[str, Any],
        *,
        missing: Collection[str] | None,
        names: Mapping[str, str] | None = None,
        damaged: bool = False,
    ) -> Source:
        """The spilled rows as a source; `names` says which columns it has, by the names they were added under.

        Raises:
            BadInput: code `source-empty`.
        """
        if not self.rows:
            raise no_rows(location)
        repaired, renamed = repaired_names(self.schema.names)
        names = names if names is not None else dict(zip(self.schema.names, repaired, strict=True))
        schema = pa.schema([self.schema.field(added).with_name(name) for added, name in names.items()])
        mixed = [name for added, name in names.items() if self._is_mixed(added)]
        known = {**renamed, **notes, **({"mixed_types": mixed} if mixed else {})}

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in self.batches():
                yield pa.RecordBatch.from_arrays([batch.column(added) for added in names], schema=schema)

        return Source(location, schema, batches, identify, known, missing, damaged or self.lost > 0)

    def _is_mixed(self, added: str) -> bool:
        kinds = self._kinds[added]
        return added in self._mixed or (len(kinds) > 1 and _common(kinds) == pa.string())


def _cell(cell: Any) -> Any:
    """A cell of one of the kinds that are kept; what belongs to none becomes text."""
    if cell is None or type(cell) in (str, int, float, bool):
        return cell
    cell = plain(cell)
    if isinstance(cell, dt.date):
        return _MOMENT.parse_cell(cell)
    if isinstance(cell, Decimal):
        return float(cell)
    if isinstance(cell, list | tuple | dict):
        return json.dumps(cell, ensure_ascii=False, sort_keys=True, default=str)
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell).decode("utf-8", "replace")
    return cell if cell is None or type(cell) in _KINDS else str(cell)


def _common(kinds: Collection[pa.DataType]) -> pa.DataType:
    if len(kinds) == 1:
        return next(iter(kinds))
    return pa.float64() if set(kinds) == {pa.int64(), pa.float64()} else pa.string()


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), kind)
    if kind == pa.float64():
        return array.cast(kind, safe=False)
    return pa.array([text_of(cell) for cell in array.to_pylist()], kind)
