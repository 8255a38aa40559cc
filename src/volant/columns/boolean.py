"""Truth values in the words that files use for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.missing import TOKENS
from volant.columns.sample import Sample
from volant.core.protocols import Parsed, Recognition

PAIRS = (("yes", "no"), ("true", "false"), ("y", "n"), ("t", "f"), ("on", "off"), ("1", "0"), ("是", "否"))
"""Words for true and for false, in lower case. A column is recognised when it uses one pair of words only.

Ones and zeros are read, but a column of them is taken for numbers: the first rows may simply not hold a 2.
"""

_SPELLINGS = 8
WORDS = {word: place == 0 for pair in PAIRS for place, word in enumerate(pair)}


@dataclass(frozen=True)
class Boolean:
    """True or false."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    name = "boolean"
    summary = "true or false, in the usual words"
    storage = pa.bool_()

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        del name
        sample = Sample.of(values, self.missing)
        if sample.rows and sample.kind == "truth":
            return Recognition(1.0, f"the source says true or false in {sample.rows:,} rows")
        if not 2 <= sample.distinct <= _SPELLINGS or not (sample.kind == "text" or sample.coded):
            return Recognition(0.0, f"{sample.counted()}, not two words for true and false")
        used = {str(cell).lower() for cell in pc.unique(sample.cells).to_pylist()}
        pair = next((pair for pair in PAIRS if used == set(pair) and "1" not in pair), None)
        if pair is None:
            return Recognition(0.0, "few distinct values, but not a pair of words for true and false")
        return Recognition(0.95, f"only {pair[0]} and {pair[1]} in {sample.rows:,} rows")

    def parse_cell(self, cell: Any) -> bool | None:
        """One raw cell to True or False; numbers other than 1 and 0 cannot be read."""
        cell = cells.plain(cell)
        if cell is None or isinstance(cell, bool):
            return cell if cell is None or cells.text_of(cell) not in self.missing else None
        if not isinstance(cell, str | int | float | Decimal):
            raise ValueError(f"expected true or false, not {type(cell).__name__}")
        text = cell.strip() if isinstance(cell, str) else ""
        if isinstance(cell, str) and text in self.missing:
            return None
        return self._word(cells.text_of(cell))

    def _word(self, text: str | None) -> bool | None:
        if text is None or text in self.missing:
            return None
        found = WORDS.get(text.lower())
        if found is None:
            raise ValueError("expected true or false, yes or no, 1 or 0")
        return found

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays."""
        array = cells.simple(raw)
        if pa.types.is_boolean(array.type) and not {"true", "false"} & self.missing:
            return Parsed(array, np.empty(0, dtype=np.int64))
        return cells.parse_each(self.parse_cell, array, self.storage)

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """float64, shape (n,): 1, 0, or NaN where missing."""
        return cells.floats(cells.whole(values).cast(pa.uint8()))

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["boolean", "string", "number", "null"], "description": "true or false"}
