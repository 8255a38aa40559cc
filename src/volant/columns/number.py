"""Numbers: whole, decimal, with thousands separators, in per cent; truth values count as 1 and 0."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.missing import TOKENS, null_missing
from volant.columns.sample import Sample
from volant.core.protocols import Parsed, Recognition

_PLAIN = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER = re.compile(_PLAIN)
_THOUSANDS = r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?"
_GROUPED = re.compile(_THOUSANDS)
_INFINITE = re.compile(r"([+-]?)inf(?:inity)?", re.IGNORECASE)
_NAN = re.compile(r"[+-]?nan", re.IGNORECASE)
_ZERO_FIRST, _LONG = r"^[+-]?0[0-9]+$", r"^[+-]?[0-9]{16,}$"
_ENOUGH = 0.9
_ZEROS = 0.005


@dataclass(frozen=True)
class Number:
    """Numbers, as 64-bit floats."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    name = "number"
    summary = "whole and decimal numbers"
    storage = pa.float64()

    @cached_property
    def _missing_numbers(self) -> tuple[float, ...]:
        return tuple(float(text) for text in sorted(self.missing) if _NUMBER.fullmatch(text))

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        del name
        sample = Sample.of(values, self.missing)
        if sample.rows == 0 or sample.kind not in ("number", "text", "duration"):
            return Recognition(0.3 if sample.kind == "truth" else 0.0, f"{sample.counted()} are not numbers")
        if sample.kind != "text":
            return Recognition(0.9, f"numbers, {sample.counted()}")
        return self._recognise_texts(sample)

    def _recognise_texts(self, sample: Sample) -> Recognition:
        share = 1 - len(self.parse(sample.cells).unreadable) / sample.rows
        if share < _ENOUGH:
            return Recognition(0.3 * share, f"{share:.0%} of {sample.rows:,} texts are numbers")
        zeros, long = (sample.share(pattern) for pattern in (_ZERO_FIRST, _LONG))
        if zeros > _ZEROS or long > 1 - _ENOUGH:
            what = "have leading zeros" if zeros > _ZEROS else "have more digits than numbers keep"
            return Recognition(0.3, f"{max(zeros, long):.1%} of {sample.rows:,} texts of digits {what}, as codes do")
        if share < 1:
            return Recognition(_ENOUGH * share, f"{share:.1%} of {sample.rows:,} texts are numbers, the others are not")
        return Recognition(0.9, f"all texts are numbers, {sample.counted()}")

    def parse_cell(self, cell: Any) -> float | None:
        """One raw cell to a float; `"12.5%"` is 0.125, `"1,234.5"` is 1234.5."""
        cell = cells.plain(cell)
        if cell is None:
            return None
        value = self._text(cell.strip()) if isinstance(cell, str) else _value(cell)
        return None if value is None or value in self._missing_numbers else value

    def _text(self, text: str) -> float | None:
        if text in self.missing or _NAN.fullmatch(text):
            return None
        infinite = _INFINITE.fullmatch(text)
        if infinite:
            return -math.inf if infinite[1] == "-" else math.inf
        body = text.removesuffix("%").rstrip()
        if _GROUPED.fullmatch(body):
            body = body.replace(",", "")
        if not _NUMBER.fullmatch(body):
            raise ValueError("expected a number")
        return _finite(float(body)) / (100 if text.endswith("%") else 1)

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays: casts where Arrow reads exactly what `parse_cell` reads, cell by cell elsewhere."""
        array = cells.simple(raw)
        if cells.is_number(array.type):
            values = array.cast(pa.float64(), safe=False)
            parsed = Parsed(pc.if_else(pc.is_nan(values), None, values), np.empty(0, dtype=np.int64))
        elif pa.types.is_string(array.type) or pa.types.is_decimal(array.type):
            parsed = self._parse_texts(array if pa.types.is_string(array.type) else array.cast(pa.string()))
        else:
            return cells.parse_each(self.parse_cell, array, self.storage)
        return Parsed(self._without_missing(parsed.values), parsed.unreadable)

    def _without_missing(self, values: pa.Array) -> pa.Array:
        if not self._missing_numbers:
            return values
        return pc.if_else(pc.is_in(values, pa.array(self._missing_numbers, pa.float64())), None, values)

    def _parse_texts(self, texts: pa.Array) -> Parsed:
        values = cells.cast_texts(texts, self.storage)
        if values is None:
            texts = null_missing(pc.utf8_trim_whitespace(texts), self.missing)
            values = cells.cast_texts(texts, self.storage)
        if values is None:
            texts = _ungrouped(texts)
            ordinary = pc.match_substring_regex(texts, f"^(?:{_PLAIN})$")
            values = pc.if_else(ordinary, texts, None).cast(self.storage)
        return self._mend(texts, values)

    def _mend(self, texts: pa.Array, values: pa.Array) -> Parsed:
        """Read one by one the cells that the cast left out, or whose value is not finite."""
        settled = pc.or_(pc.is_null(texts), pc.fill_null(pc.is_finite(values), False))
        odd = np.flatnonzero(~settled.to_numpy(zero_copy_only=False))
        if not len(odd):
            return Parsed(values, odd)
        read = cells.parse_each(self.parse_cell, texts.take(pa.array(odd)), self.storage)
        whole = values.to_numpy(zero_copy_only=False).copy()
        whole[odd] = read.values.to_numpy(zero_copy_only=False)
        return Parsed(pa.array(whole, pa.float64(), from_pandas=True), odd[read.unreadable])

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """float64, shape (n,), NaN where missing."""
        return cells.floats(values)

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["number", "string", "boolean", "null"], "description": "a number, or a text that holds one"}


def _value(cell: Any) -> float:
    if isinstance(cell, bool | int | float | Decimal):
        try:
            value = float(cell)
        except OverflowError:
            raise ValueError("expected a number below 1.8e308") from None
        return value if isinstance(cell, float) else _finite(value)
    if isinstance(cell, dt.timedelta):
        return cell.total_seconds()
    raise ValueError(f"expected a number, not {type(cell).__name__}")


def _finite(value: float) -> float:
    if math.isinf(value):
        raise ValueError("expected a number below 1.8e308")
    return value


def _ungrouped(texts: pa.Array) -> pa.Array:
    """`texts` with the separators of thousands taken out of the cells that have them."""
    grouped = pc.match_substring_regex(texts, f"^(?:{_THOUSANDS})$")
    return pc.if_else(grouped, pc.replace_substring(texts, ",", ""), texts)
