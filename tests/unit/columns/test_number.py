import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from volant.columns.number import Number

READ = {
    "1": 1.0, " 2.5 ": 2.5, "-3": -3.0, "+4": 4.0, ".5": 0.5, "5.": 5.0, "1e3": 1000.0, "1,234,567.5": 1234567.5,
    "12.5%": 0.125, "12 %": 0.12, "inf": math.inf, "-Infinity": -math.inf, "": None, "NA": None, " ? ": None,
    "nAn": None, True: 1.0, False: 0.0, 7: 7.0, 2.5: 2.5, Decimal("1.25"): 1.25, None: None,
}  # fmt: skip


@pytest.mark.parametrize(("cell", "value"), READ.items(), ids=repr)
def test_reads(cell, value):
    assert Number().parse_cell(cell) == value


@pytest.mark.parametrize(
    "cell", ["x", "1 2", "1,23", "0x10", "1_000", "１", "$5", "-", b"1", [1], "9" * 400, 10**400, "1e400"]
)
def test_refuses(cell):
    with pytest.raises(ValueError, match="expected a number"):
        Number().parse_cell(cell)


def test_numpy_scalars_count_as_their_values():
    assert [Number().parse_cell(c) for c in (np.int32(3), np.float32(0.5), np.bool_(True))] == [3.0, 0.5, 1.0]
    assert Number().parse_cell(np.float64("nan")) is None


def test_parse_lists_the_cells_it_cannot_read():
    parsed = Number().parse(pa.array(["1", "two", None, "3", "?", "five"]))
    assert parsed.values.to_pylist() == [1.0, None, None, 3.0, None, None]
    assert parsed.unreadable.tolist() == [1, 5]


def test_a_product_can_name_a_number_as_missing():
    number = Number(missing=frozenset(["", "-999"]))
    assert number.parse(pa.array([1, -999])).values.to_pylist() == [1.0, None]
    assert number.parse(pa.array(["-999.0", " -999"])).values.to_pylist() == [None, None]
    assert number.parse_cell(-999) is None


def test_missing_becomes_nan():
    array = Number().to_numpy(pa.array([1.0, None]))
    assert array.dtype == np.float64
    assert math.isnan(array[1])


@pytest.mark.parametrize(
    ("values", "sure"),
    [
        (pa.array([1, 2, 3]), True),
        (pa.array([1.5, None, 2.5]), True),
        (pa.array(["1", "2.5", " 3"]), True),
        (pa.array(["1"] * 95 + ["n.a."] * 5), True),
        (pa.array(["1"] * 50 + ["one"] * 50), False),
        (pa.array(["02139", "10001"]), False),
        (pa.array(["4556737586899855", "4556737586899856"]), False),
        (pa.array(["a", "b"]), False),
        (pa.array([], pa.string()), False),
    ],
)
def test_recognises(values, sure):
    assert (Number().recognise("amount", values).confidence > 0.75) == sure


def test_the_reason_counts():
    assert Number().recognise("x", pa.array([1, 1, 2])).reason == "numbers, 2 distinct in 3 rows"
    assert "95.0% of 100 texts are numbers" in Number().recognise("x", pa.array(["1"] * 95 + ["n.a."] * 5)).reason
