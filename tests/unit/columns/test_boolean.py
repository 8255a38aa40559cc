import math

import numpy as np
import pyarrow as pa
import pytest

from volant.columns.boolean import PAIRS, Boolean
from volant.columns.missing import with_missing

YES = [True, 1, 1.0, "1", "1.0", "yes", "YES", " y ", "T", "true", "True", "on", "是", np.bool_(True), np.int8(1)]
NO = [False, 0, 0.0, "0", "0.0", "no", "No", "N", "f", "false", "OFF", "否", -0.0]


def test_words_for_true_and_false():
    assert {Boolean().parse_cell(cell) for cell in YES} == {True}
    assert {Boolean().parse_cell(cell) for cell in NO} == {False}


@pytest.mark.parametrize("cell", [2, -1, 0.5, "maybe", "10", b"1", [True], "ja"])
def test_refuses(cell):
    with pytest.raises(ValueError, match="expected true or false"):
        Boolean().parse_cell(cell)


@pytest.mark.parametrize("cell", [None, "", "none", "?", float("nan")])
def test_missing(cell):
    assert Boolean().parse_cell(cell) is None


def test_a_product_can_name_a_word_as_missing():
    kind = with_missing(Boolean(), ["0"])
    assert kind.parse(pa.array([1, 0])).values.to_pylist() == [True, None]
    assert kind.parse_cell("0") is None
    assert with_missing(Boolean(), ["false"]).parse(pa.array([True, False])).values.to_pylist() == [True, None]


def test_to_numpy_gives_one_zero_and_nan():
    array = Boolean().to_numpy(pa.array([True, False, None]))
    assert array[:2].tolist() == [1.0, 0.0]
    assert math.isnan(array[2])


@pytest.mark.parametrize("pair", PAIRS)
def test_recognises_each_pair(pair):
    assert Boolean().recognise("x", pa.array([*pair, pair[0].upper()])).confidence > 0.9 or pair[0] == "1"


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["yes", "0"]),
        pa.array(["M", "F"]),
        pa.array(["yes"]),
        pa.array(["yes", "no", "maybe"]),
        pa.array([1.0, 0.0]),
        pa.array([1, 2]),
        pa.array([], pa.string()),
    ],
)
def test_does_not_recognise(values):
    assert Boolean().recognise("x", values).confidence == 0.0


def test_recognises_truth_but_takes_ones_and_zeros_for_numbers():
    assert Boolean().recognise("x", pa.array([0, 1, 1])).confidence == 0.0
    assert Boolean().recognise("x", pa.array([True])).confidence == 1.0
