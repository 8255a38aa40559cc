"""A dataset as checks see it: each column is converted once, and samples are drawn once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns.looks import Looks, looks_of
from volant.columns.media import is_media, names_of
from volant.core.protocols import Rows
from volant.core.records import PARTS, Batch

T = TypeVar("T")

SAMPLE = 200_000
"""Rows beyond which statistics are taken from a random sample, and say so."""

MOST_EVIDENCE = 20


@dataclass(frozen=True)
class Codes:
    """A column as small integers: `codes` of shape (n,), -1 where missing, indices into `labels`."""

    codes: np.ndarray
    labels: pa.Array

    @property
    def count(self) -> int:
        return len(self.labels)

    def sizes(self) -> np.ndarray:
        """Rows per label, shape (count,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=self.count)


class Study:
    """Rows that remember what was computed of them. Implements `core.protocols.Rows`.

    Conversions are kept only up to `SAMPLE` rows, so memory stays bounded; larger data is read column by
    column, and what needs several columns at once looks at `sample()`.
    """

    def __init__(self, data: Rows, of_rows: int | None = None) -> None:
        self.data = data
        self.digest = data.digest
        self.schema = data.schema
        self.of_rows = len(data) if of_rows is None else of_rows
        self._kept: dict[tuple[Any, ...], Any] = {}

    @staticmethod
    def of(data: Rows) -> Study:
        """`data` itself where it is a study already."""
        return data if isinstance(data, Study) else Study(data)

    def __len__(self) -> int:
        return len(self.data)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.data.table(columns)

    def batch(self, columns: Sequence[str]) -> Batch:
        return self.data.batch(columns)

    def weights(self) -> np.ndarray:
        return self.data.weights()

    def keys(self) -> np.ndarray:
        return self.data.keys()

    def numbers(self) -> np.ndarray:
        found: np.ndarray = self._keep(("numbers",), self.data.numbers)
        return found

    def take(self, positions: np.ndarray) -> Rows:
        return self.data.take(positions)

    def part(self, name: str) -> Rows:
        return self.data.part(name)

    def _keep(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        if key not in self._kept:
            found = make()
            if len(self) > SAMPLE and key[0] in ("column", "values", "codes"):
                return found
            self._kept[key] = found
        kept: T = self._kept[key]
        return kept

    def column(self, name: str) -> pa.Array:
        """The canonical column as one Arrow array; of media the hashes of their files."""
        return self._keep(("column", name), lambda: self._read(name))

    def _read(self, name: str) -> pa.Array:
        if is_media(self.schema[name].type):
            return pa.array(names_of(self.data.batch([name])[name]), pa.string())
        return _one_array(self.data.table([name]).column(0))

    def kind(self, name: str) -> str:
        """`number`, `boolean`, `time`, `text` (any string), `media` or `other`, by how the column is stored."""
        media = is_media(self.schema[name].type)
        return self._keep(("kind", name), lambda: "media" if media else _kind(self.column(name).type))

    def filled(self, name: str) -> np.ndarray:
        """Where the column has a value, shape (n,), bool."""
        valid: np.ndarray = pc.is_valid(self.column(name)).to_numpy(zero_copy_only=False)
        return valid & ~np.isnan(self.values(name)) if self.kind(name) == "number" else valid

    def values(self, name: str) -> np.ndarray:
        """A number, boolean or time column as float64, shape (n,), NaN where missing."""
        return self._keep(("values", name), lambda: _as_floats(self.column(name)))

    def looks(self, name: str) -> Looks:
        """What the pictures of a column look like, one entry per row."""
        return self._keep(("looks", name), lambda: looks_of(self.data.batch([name])[name]))

    def codes(self, name: str) -> Codes:
        """Any column as codes, in order of first appearance."""
        return self._keep(("codes", name), lambda: _as_codes(self.column(name)))

    def missing(self, name: str) -> int:
        """Rows without a value."""
        return self._keep(("missing", name), lambda: int(len(self) - self.filled(name).sum()))

    def distinct(self, name: str) -> int:
        """Different values, missing not counted."""
        return self._keep(("distinct", name), lambda: self.codes(name).count)

    def sample(self, limit: int = SAMPLE) -> Study:
        """A random sample of at most `limit` rows in their order; the study itself where it is that small."""
        if len(self) <= limit:
            return self
        return self._keep(("sample", limit), lambda: Study(self.data.take(_draw(len(self), limit)), self.of_rows))

    @property
    def said(self) -> str:
        """What a finding adds to its sentence when it comes from a sample."""
        return f" (in a random sample of {len(self):,} rows)" if len(self) < self.of_rows else ""

    def sides(self) -> np.ndarray:
        """The side of the split per row, shape (n,), index into `PARTS`, -1 where on none."""
        return self._keep(("sides",), self._find_sides)

    def _find_sides(self) -> np.ndarray:
        numbers = self.numbers()
        sides = np.full(len(numbers), -1, dtype=np.int8)
        for index, part in enumerate(PARTS):
            sides[np.isin(numbers, self.data.part(part).numbers())] = index
        return sides

    def evidence(self, rows: np.ndarray) -> tuple[int, ...]:
        """Source row numbers of the first few rows, given as positions or as a mask."""
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows
        return tuple(int(i) for i in self.numbers()[positions[:MOST_EVIDENCE]])


def _one_array(chunks: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(chunks.type):
        chunks = chunks.cast(chunks.type.value_type)
    if pa.types.is_string(chunks.type) and chunks.nbytes > 2**30:
        chunks = chunks.cast(pa.large_string())
    return chunks.combine_chunks() if chunks.num_chunks != 1 else chunks.chunk(0)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_temporal(kind):
        return "time"
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return "number"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else "other"


def _as_floats(column: pa.Array) -> np.ndarray:
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    floats: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return floats


def _as_codes(column: pa.Array) -> Codes:
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if _kind(column.type) == "other":
        column = column.cast(pa.string()) if not pa.types.is_nested(column.type) else _as_texts(column)
    encoded = column.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return Codes(codes, encoded.dictionary)


def _as_texts(column: pa.Array) -> pa.Array:
    return pa.array([None if v is None else repr(v) for v in column.to_pylist()], type=pa.string())


def _draw(rows: int, limit: int) -> np.ndarray:
    return np.sort(np.random.default_rng(limit).choice(rows, size=limit, replace=False, shuffle=False))
