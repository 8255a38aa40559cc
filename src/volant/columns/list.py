"""Lists, as JSON text in one fixed form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from volant.columns import cells
from volant.columns.json import canonical_json, nested, recognise_nested
from volant.columns.missing import TOKENS
from volant.core.protocols import Parsed, Recognition


@dataclass(frozen=True)
class List:
    """Lists: of an Arrow list column, or of JSON text that begins with `[`."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    name = "list"
    summary = "lists, as JSON"
    storage = pa.string()

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        del name
        return recognise_nested(values, self.missing, self.parse_cell, "[")

    def parse_cell(self, cell: Any) -> str | None:
        """One raw cell to JSON text."""
        value = nested(cell, self.missing)
        if value is not None and not isinstance(value, list):
            raise ValueError("expected a list")
        return None if value is None else canonical_json(value)

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays."""
        return cells.parse_each(self.parse_cell, cells.simple(raw), self.storage)

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Objects, shape (n,): JSON text, or None where missing."""
        return cells.objects(values)

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["array", "string", "null"], "description": "a list, or its JSON text"}
