"""Identifiers: they name a row or a subject and say nothing about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.category import canonical, canonical_texts
from volant.columns.missing import TOKENS
from volant.columns.sample import Sample, name_parts, says_identifier
from volant.core.protocols import Parsed, Recognition

_COUNTER_WORDS = frozenset(["index", "idx", "unnamed", "row", "rowid", "rownum", "no"])
_UUID = r"^\{?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\}?$"
_NEARLY_ALL = 0.99
_ENOUGH_ROWS = 20


@dataclass(frozen=True)
class Id:
    """Identifiers, as text in the same form as categories."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    name = "id"
    summary = "identifiers, which say nothing about a row"
    storage = pa.string()

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        sample = Sample.of(values, self.missing)
        if sample.rows == 0 or not (sample.kind == "text" or sample.whole):
            return Recognition(0.0, f"{sample.counted()} are not identifiers")
        if sample.kind == "text" and pc.all(pc.match_substring_regex(sample.cells, _UUID)).as_py():
            return Recognition(0.97, f"every text has the form of a UUID, {sample.counted()}")
        if sample.unique < _NEARLY_ALL or sample.rows < 2:
            return Recognition(0.0, f"values repeat: {sample.counted()}")
        return _of_unique(sample, name)

    def parse_cell(self, cell: Any) -> str | None:
        """One raw cell to its text."""
        return canonical(cell, self.missing)

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays."""
        return canonical_texts(raw, self.missing)

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Objects, shape (n,): str, or None where missing."""
        return cells.objects(values)

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["string", "number", "null"], "description": "an identifier"}


def _of_unique(sample: Sample, name: str) -> Recognition:
    short = sample.whole or sample.words < 3
    if short and says_identifier(name):
        return Recognition(0.96, f"the name says identifier, {sample.counted()}")
    if sample.whole and _COUNTER_WORDS & set(name_parts(name)):
        return Recognition(0.96, f"the name says row number, {sample.counted()}")
    if sample.kind == "text" and not sample.whole and sample.words < 1.5 and sample.rows >= _ENOUGH_ROWS:
        return Recognition(0.8, f"single words, {sample.counted()}")
    return Recognition(0.1, f"{sample.counted()}, but neither the name nor the form is that of an identifier")
