"""Categories: one of some values, kept as text that is the same whatever the source stored it as."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.missing import TOKENS, null_missing
from volant.columns.sample import Sample, says_identifier
from volant.core.protocols import Parsed, Recognition

_UNUSUAL = r"^-?[0-9]+\.0$|^(?:true|True|TRUE|false|False|FALSE)$"
_FEW = 20


def canonical(cell: Any, missing: frozenset[str]) -> str | None:
    """The text of one cell, or None where it is missing.

    Raises:
        ValueError: the cell is not a single value.
    """
    if isinstance(cell, str) and cell.strip() in missing:
        return None
    text = cells.text_of(cell)
    return None if text is None or text in missing else text


def canonical_texts(raw: pa.Array | pa.ChunkedArray, missing: frozenset[str]) -> Parsed:
    """The same for Arrow arrays: white space and missing texts at once, the unusual cells one by one."""
    array = cells.simple(raw)
    if not pa.types.is_string(array.type):
        return cells.parse_each(lambda cell: canonical(cell, missing), array, pa.string())
    encoded = array.dictionary_encode()
    values = null_missing(pc.utf8_trim_whitespace(encoded.dictionary), missing)
    unusual = pc.fill_null(pc.match_substring_regex(values, _UNUSUAL), False)
    if pc.any(unusual).as_py():
        mended = cells.parse_each(lambda cell: canonical(cell, missing), values.filter(unusual), pa.string())
        values = pc.replace_with_mask(values, unusual, mended.values)
    return Parsed(values.take(encoded.indices), np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class Category:
    """One of some values: `1`, `1.0` and `"1"` are the same one, and so are `True` and `"true"`."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    name = "category"
    summary = "one of some values, as text"
    storage = pa.string()

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        sample = Sample.of(values, self.missing)
        if sample.kind == "truth":
            return Recognition(0.4, f"truth values, {sample.counted()}")
        if sample.rows == 0 or sample.kind not in ("text", "number"):
            return Recognition(0.0, f"{sample.counted()} are not single values")
        repeats = sample.unique <= 0.5
        if repeats and sample.whole and says_identifier(name):
            return Recognition(0.92, f"the name says identifier and they repeat: {sample.counted()}")
        if sample.kind == "number":
            return Recognition(0.3, f"numbers, {sample.counted()}")
        few = sample.distinct <= _FEW or repeats
        return Recognition(0.7 if few else 0.5, _counted_texts(sample))

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
        return {"type": ["string", "number", "boolean", "null"], "description": "one of some values"}


def _counted_texts(sample: Sample) -> str:
    if sample.distinct == sample.rows:
        return f"{sample.rows:,} texts, all different"
    texts = "one text" if sample.distinct == 1 else f"{sample.distinct:,} distinct texts"
    return f"{texts} in {sample.rows:,} rows"
