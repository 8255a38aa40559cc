"""Free text: sentences, comments, descriptions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.missing import TOKENS, null_missing
from volant.columns.sample import Sample
from volant.core.protocols import Parsed, Recognition

_WORDS = 3.0
_MANY_WORDS = 12.0
_VARIED = 0.5


@dataclass(frozen=True)
class Text:
    """Free text. Only surrounding white space is cut off."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    name = "text"
    summary = "free text"
    storage = pa.string()

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        del name
        sample = Sample.of(values, self.missing)
        if sample.rows == 0 or sample.kind != "text":
            return Recognition(0.0, f"{sample.counted()} are not texts")
        wordy = sample.words >= _WORDS and sample.unique >= _VARIED
        long = sample.words >= _MANY_WORDS and sample.distinct > 20
        reason = f"{sample.words:.1f} words per text on average, {sample.counted()}"
        return Recognition(0.85 if wordy or long else 0.2, reason)

    def parse_cell(self, cell: Any) -> str | None:
        """One raw cell to its text; single values of other kinds become their text form."""
        if not isinstance(cell, str):
            text = cells.text_of(cell)
            return None if text in self.missing else text
        text = cells.sound(str(cell).strip())
        return None if text in self.missing else text

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays."""
        array = cells.simple(raw)
        if not pa.types.is_string(array.type):
            return cells.parse_each(self.parse_cell, array, self.storage)
        return Parsed(null_missing(pc.utf8_trim_whitespace(array), self.missing), np.empty(0, dtype=np.int64))

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Objects, shape (n,): str, or None where missing."""
        return cells.objects(values)

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["string", "number", "null"], "description": "a text"}
