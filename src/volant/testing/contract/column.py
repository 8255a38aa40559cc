"""What every column type promises."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from volant.core.protocols import ColumnType
from volant.testing.contract.claims import claim, nothing_global_changes, run

TEXTS = (
    *("", " ", "NA", "null", "0", "1", "-1", "1.5", " 12 ", "1e400", "1,234.5", "007", "12.5%", "inf", "nan"),
    *("true", "FALSE", "yes", "no", "2024-02-29", "2023-02-29", "2024-01-02T03:04:05Z", "01/02/2024", "cat"),
    *("a longer text, with several words in it", "日本語のテキスト", "é", "e\u0301", "\x00", "👩‍👩‍👧", "a" * 10_000),
    *("[1, 2]", '{"a": 1}', "{", "a;b", "user-17", "3fa85f64-5717-4562-b3fc-2c963f66afa6"),
)
"""Cells as a CSV file may hold them."""
ARRAYS: tuple[pa.Array, ...] = (
    pa.array(TEXTS),
    pa.array(["x", "y", None, "x"]).dictionary_encode(),
    pa.array(["x", None], pa.large_string()),
    pa.array([0, 1, None, -5, 2**62]),
    pa.array([0.0, 1.5, None, float("nan"), float("inf"), -1e308]),
    pa.array([True, False, None]),
    pa.array([datetime(2024, 1, 2, tzinfo=UTC), None]),
    pa.array([date(2024, 1, 2), None]),
    pa.array([Decimal("1.50"), None]),
    pa.array([[1, 2], None, []]),
    pa.array([{"a": 1}, None]),
    pa.array([b"raw", None]),
    pa.nulls(3),
    pa.array([], pa.string()),
)
"""Columns as any source may hold them."""


def check_column_type(column_type: ColumnType) -> None:
    """Try a column type on cells and columns of many kinds and report every promise that it breaks.

    Raises:
        AssertionError: naming the column type and, per broken promise, what was expected.
    """
    run("column type", column_type, COLUMN_CONTRACT)


def _read(kind: ColumnType, cell: Any) -> tuple[Any, bool]:
    try:
        return kind.parse_cell(cell), True
    except ValueError:
        return None, False


def describes_itself(kind: ColumnType) -> None:
    claim(str(getattr(kind, "name", "")).isidentifier(), "`name` is a word that can stand in a product file")
    claim(bool(getattr(kind, "summary", "")), "`summary` says in one line what it is")
    claim(isinstance(kind.storage, pa.DataType), "`storage` is an Arrow type")
    json.dumps(kind.json_schema(), allow_nan=False)


def recognises_with_a_reason(kind: ColumnType) -> None:
    for values in ARRAYS:
        if pa.types.is_null(values.type):
            continue  # a column without a single value is nobody's
        judged = kind.recognise("some_column", values.drop_null())
        claim(0.0 <= judged.confidence <= 1.0, "confidence lies in [0, 1]")
        claim(bool(judged.reason) and "\n" not in judged.reason, "the reason is one sentence")


def reasons_quote_no_cells(kind: ColumnType) -> None:
    secret = "zq-secret-83"
    judged = kind.recognise("some_column", pa.array([secret, secret + "x", "1", "2"]))
    claim(secret not in judged.reason, "the reason quotes no cell")
    try:
        kind.parse_cell(secret)
    except ValueError as bad:
        claim(secret not in str(bad), "the error of a cell does not quote it")


def missing_is_none(kind: ColumnType) -> None:
    claim(kind.parse_cell(None) is None, "a cell that is None is missing")
    claim(kind.parse_cell("") is None, "an empty text is missing")
    claim(kind.parse_cell(float("nan")) is None, "NaN is missing")


def reads_a_column_as_it_reads_its_cells(kind: ColumnType) -> None:
    for raw in ARRAYS:
        cells = raw.to_pylist()
        parsed = kind.parse(raw)
        claim(parsed.values.type == kind.storage, f"`parse` gives {kind.storage}, got {parsed.values.type}")
        claim(len(parsed.values) == len(raw), "`parse` gives one value per cell")
        each = [_read(kind, cell) for cell in cells]
        bad = [i for i, (_, fine) in enumerate(each) if not fine]
        claim(parsed.unreadable.tolist() == bad, f"unreadable cells of {raw.type} are listed: {bad}")
        alone = pa.array([value for value, _ in each], type=kind.storage)
        claim(_equal(parsed.values, alone), f"`parse` and `parse_cell` agree on {raw.type}")


def _equal(first: pa.Array, second: pa.Array) -> bool:
    """Equality of canonical values, NaN being equal to NaN."""
    return repr(first.to_pylist()) == repr(second.to_pylist())


def canonical_values_stay_as_they_are(kind: ColumnType) -> None:
    for raw in ARRAYS:
        once = kind.parse(raw)
        twice = kind.parse(once.values)
        claim(len(twice.unreadable) == 0, f"what was read from {raw.type} can be read again")
        claim(_equal(once.values, twice.values), f"reading twice gives the same ({raw.type})")


def gives_arrays_to_pipelines(kind: ColumnType) -> None:
    for raw in ARRAYS:
        parsed = kind.parse(raw)
        array = kind.to_numpy(parsed.values)
        claim(isinstance(array, np.ndarray) and array.shape == (len(raw),), "`to_numpy` gives an array of shape (n,)")
        claim(array.dtype.kind in "fOM", "arrays hold floats, objects or times")
        missing = [_is_missing(value) for value in array]
        claim(missing == parsed.values.is_null().to_pylist(), "null becomes NaN, NaT or None, and nothing else does")


def _is_missing(value: Any) -> bool:
    return value is None or bool(value != value)


def keeps_no_state(kind: ColumnType) -> None:
    with nothing_global_changes(kind):
        for raw in ARRAYS:
            kind.to_numpy(kind.parse(raw).values)


COLUMN_CONTRACT = (
    describes_itself,
    recognises_with_a_reason,
    reasons_quote_no_cells,
    missing_is_none,
    reads_a_column_as_it_reads_its_cells,
    canonical_values_stay_as_they_are,
    gives_arrays_to_pipelines,
    keeps_no_state,
)
"""Every promise of a column type, each a function that takes the column type."""
