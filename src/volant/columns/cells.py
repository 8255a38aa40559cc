"""Cells of any origin in plain form: the same value gives the same text from CSV, Parquet, JSON or a database."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.protocols import Parsed

_WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,14}))\.0")
_TRUTH = {"true": "true", "True": "true", "TRUE": "true", "false": "false", "False": "false", "FALSE": "false"}
_FITS_EXACTLY = 2.0**53
_TRIED_FIRST = 50


class Unreadable:
    """Stands for a cell that even its own storage cannot turn into a value."""


def plain(cell: Any) -> Any:
    """A cell as a plain Python value, or None where it is missing: NaN, NaT and the like are missing."""
    if cell is None or type(cell) is str:
        return cell
    if isinstance(cell, np.generic):
        cell = _scalar(cell)
    if isinstance(cell, float | Decimal):
        return None if cell != cell else cell
    return None if type(cell).__name__ in ("NAType", "NaTType", "NoneType") else cell


def _scalar(cell: np.generic) -> Any:
    if isinstance(cell, np.datetime64):
        return cell.astype("datetime64[us]").item()
    if isinstance(cell, np.timedelta64):
        return cell.astype("timedelta64[us]").item()
    return float(cell) if isinstance(cell, np.floating) else cell.item()


def text_of(cell: Any) -> str | None:
    """The text that stands for a single value, or None where it is missing.

    Whole numbers lose their `.0`, truth values are `true` and `false`, times are ISO 8601.

    >>> [text_of(cell) for cell in (1, 1.0, "1", "1.0", True, "TRUE", 2.5, " a ")]
    ['1', '1', '1', '1', 'true', 'true', '2.5', 'a']

    Raises:
        ValueError: the cell is not a single value (bytes, a list, an object).
    """
    cell = plain(cell)
    if cell is None:
        return None
    if isinstance(cell, str):
        return _normal(sound(cell.strip()))
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, float | Decimal):
        return _number_text(float(cell))
    return _other_text(cell)


def _normal(text: str) -> str:
    whole = _WHOLE.fullmatch(text)
    if whole:
        return "0" if whole[1] == "-0" else whole[1]
    return _TRUTH.get(text, text)


def _number_text(value: float) -> str:
    return str(int(value)) if abs(value) <= _FITS_EXACTLY and value.is_integer() else repr(value)


def _other_text(cell: Any) -> str:
    if isinstance(cell, dt.datetime):
        at_midnight = cell.tzinfo is None and cell.time() == dt.time()
        return cell.date().isoformat() if at_midnight else cell.isoformat(sep=" ")
    if isinstance(cell, dt.date | dt.time):
        return cell.isoformat()
    if isinstance(cell, dt.timedelta | uuid.UUID):
        return str(cell)
    raise ValueError(f"expected a single text or number, not {type(cell).__name__}")


def sound(text: str) -> str:
    """`text` itself.

    Raises:
        ValueError: it holds half a character (a lone surrogate), which no file can store.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("expected text, not half of a character") from None
    return text


def whole(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, whether it came in chunks or not."""
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def simple(raw: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array without dictionary, extension or view: texts are `string`, times count microseconds."""
    array = whole(raw)
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or array.type == pa.string_view():
        return array.cast(pa.string())
    if pa.types.is_float16(array.type):  # few functions take it
        return array.cast(pa.float32())
    if pa.types.is_timestamp(array.type) and array.type.unit == "ns":
        return pc.floor_temporal(array, unit="microsecond").cast(pa.timestamp("us", array.type.tz), safe=False)
    if pa.types.is_duration(array.type) and array.type.unit == "ns":
        return array.cast(pa.duration("us"), safe=False)
    return array


def cast_texts(texts: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Texts cast to another type, or None where some cannot be; a few are tried first, as failing is slow."""
    try:
        texts.drop_null().slice(0, _TRIED_FIRST).cast(kind)
        return texts.cast(kind)
    except pa.ArrowInvalid:
        return None


def is_number(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds numbers that a cast turns into float64 (decimals go through text)."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def parse_each(parse_cell: Callable[[Any], Any], raw: pa.Array, storage: pa.DataType) -> Parsed:
    """Read an array by its distinct cells, one after the other: the definition, and the way for odd cells."""
    if raw.null_count == len(raw):
        return Parsed(pa.nulls(len(raw), storage), np.empty(0, dtype=np.int64))
    cells, places = _distinct(raw)
    read, failed = _read(parse_cell, cells)
    values = pa.array(read, storage).take(places)
    bad = pc.fill_null(pa.array(failed).take(places), False).to_numpy(zero_copy_only=False)
    return Parsed(values, np.flatnonzero(bad))


def _distinct(raw: pa.Array) -> tuple[Sequence[Any], pa.Array]:
    try:
        encoded = raw.dictionary_encode()
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return listed(raw), pa.array(np.arange(len(raw)))
    return listed(encoded.dictionary), encoded.indices


def listed(array: pa.Array) -> Sequence[Any]:
    """The cells as Python values; those that have none are `Unreadable`."""
    try:
        found: list[Any] = array.to_pylist()
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in array]
    return found


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return Unreadable()


def _read(parse_cell: Callable[[Any], Any], cells: Sequence[Any]) -> tuple[list[Any], list[bool]]:
    values: list[Any] = []
    failed: list[bool] = []
    for cell in cells:
        try:
            values.append(parse_cell(cell))
            failed.append(False)
        except ValueError:
            values.append(None)
            failed.append(True)
    return values, failed


def floats(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Arrow numbers as float64, shape (n,), NaN where missing."""
    array: np.ndarray = whole(values).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return array


def objects(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Arrow texts as objects, shape (n,): str, or None where missing."""
    array: np.ndarray = whole(values).to_numpy(zero_copy_only=False)
    return array.astype(object, copy=False)
