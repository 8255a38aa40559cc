"""JSON objects, as text in one fixed form: keys sorted, no spaces."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.missing import TOKENS
from volant.columns.sample import Sample
from volant.core.protocols import Parsed, Recognition

_ENOUGH = 0.9


def nested(cell: Any, missing: frozenset[str]) -> Any:
    """The Python value of a cell that holds a list, an object or the JSON text of one; None where missing.

    Raises:
        ValueError: the text is not JSON, or the cell is something else.
    """
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if isinstance(cell, list | tuple):
        return list(cell)
    if isinstance(cell, Mapping):
        return dict(cell)
    cell = cells.plain(cell)
    if cell is None or (isinstance(cell, str) and cell.strip() in missing):
        return None
    if not isinstance(cell, str):
        raise ValueError(f"expected a list or an object, not {type(cell).__name__}")
    try:
        return json.loads(cell, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError("expected JSON, without NaN and not nested too deeply") from None


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def canonical_json(value: Any) -> str:
    """The JSON text of a value with sorted keys and no spaces.

    Raises:
        ValueError: it holds something that JSON has no form for.
    """
    try:
        return cells.sound(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False,
                                      allow_nan=False, default=_inner))  # fmt: skip
    except (TypeError, RecursionError):
        raise ValueError("expected values that JSON can hold") from None


def _inner(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return cells.text_of(value)


def recognise_nested(
    values: pa.Array, missing: frozenset[str], parse_cell: Callable[[Any], Any], opening: str
) -> Recognition:
    """Judge whether cells are nested values of one kind, by what they begin with and by reading them."""
    sample = Sample.of(values, missing)
    begun = pc.sum(pc.starts_with(sample.cells, opening)).as_py() or 0 if sample.kind == "text" else 0
    if sample.kind != "nested" and begun < _ENOUGH * max(sample.rows, 1):
        return Recognition(0.0, f"{begun:,} of {sample.rows:,} texts begin with {opening}")
    read = sample.rows - len(cells.parse_each(parse_cell, sample.cells, pa.string()).unreadable)
    share = read / max(sample.rows, 1)
    return Recognition(0.98 * share if share >= _ENOUGH else 0.0, f"{read:,} of {sample.rows:,} cells can be read")


@dataclass(frozen=True)
class Json:
    """Objects: of an Arrow struct or map column, or of JSON text that begins with `{`. Lists are read too."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    name = "json"
    summary = "objects, as JSON"
    storage = pa.string()

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        del name
        return recognise_nested(values, self.missing, self._object, "{")

    def _object(self, cell: Any) -> str | None:
        value = nested(cell, self.missing)
        if value is not None and not isinstance(value, dict):
            raise ValueError("expected an object")
        return None if value is None else canonical_json(value)

    def parse_cell(self, cell: Any) -> str | None:
        """One raw cell to JSON text."""
        value = nested(cell, self.missing)
        if value is not None and not isinstance(value, dict | list):
            raise ValueError("expected an object or a list")
        return None if value is None else canonical_json(value)

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays."""
        return cells.parse_each(self.parse_cell, cells.simple(raw), self.storage)

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Objects, shape (n,): JSON text, or None where missing."""
        return cells.objects(values)

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["object", "array", "string", "null"], "description": "an object, or its JSON text"}
