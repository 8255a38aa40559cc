import datetime as dt
import uuid
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from volant.columns.category import Category

SAME = {
    "1": [1, 1.0, "1", "1.0", " 1 ", np.int64(1), np.float64(1), Decimal("1.00")],
    "0": [0, 0.0, -0.0, "-0.0", "0"],
    "2.5": [2.5, "2.5", Decimal("2.5")],
    "true": [True, "true", "True", "TRUE", np.bool_(True)],
    "2024-01-02": [dt.date(2024, 1, 2), dt.datetime(2024, 1, 2), np.datetime64("2024-01-02"), "2024-01-02"],
    "01": ["01"],
    "1.10": ["1.10"],
    "Yes": ["Yes", "Yes\n"],
    "北京": ["北京", "\u3000北京"],
    "00000000-0000-0000-0000-000000000001": [uuid.UUID(int=1)],
}


@pytest.mark.parametrize(("text", "cells"), SAME.items())
def test_the_same_value_is_the_same_category_from_every_source(text, cells):
    assert {Category().parse_cell(cell) for cell in cells} == {text}


def test_columns_of_each_source_agree():
    sources = [pa.array([1, 2, None]), pa.array([1.0, 2.0, float("nan")]), pa.array(["1", "2.0", "NA"])]
    assert [Category().parse(raw).values.to_pylist() for raw in sources] == [["1", "2", None]] * 3


@pytest.mark.parametrize("cell", [None, "", "  ", "NULL", float("nan"), np.datetime64("NaT")])
def test_missing(cell):
    assert Category().parse_cell(cell) is None


@pytest.mark.parametrize("cell", [b"x", [1], {"a": 1}, "\ud800"])
def test_refuses(cell):
    with pytest.raises(ValueError, match="expected"):
        Category().parse_cell(cell)


def test_bytes_of_a_file_are_listed_as_unreadable():
    assert Category().parse(pa.array([b"a", None])).unreadable.tolist() == [0]


@pytest.mark.parametrize(
    ("name", "values", "confidence"),
    [
        ("plan", pa.array(["a", "b"] * 20), 0.7),
        ("city", pa.array([f"c{n}" for n in range(40)]), 0.5),
        ("store_id", pa.array([1, 2, 3] * 20), 0.92),
        ("amount", pa.array([1, 2, 3] * 20), 0.3),
        ("empty", pa.array([], pa.string()), 0.0),
    ],
)
def test_recognises(name, values, confidence):
    assert Category().recognise(name, values).confidence == confidence


def test_the_reason_counts():
    assert Category().recognise("plan", pa.array(["a", "b", "a"])).reason == "2 distinct texts in 3 rows"
    assert Category().recognise("plan", pa.array(["a", "a"])).reason == "one text in 2 rows"


def test_to_numpy_gives_text_and_none():
    assert Category().to_numpy(pa.array(["a", None])).tolist() == ["a", None]
