"""Text, identifiers, lists and JSON, which all keep text."""

import uuid

import numpy as np
import pyarrow as pa
import pytest

from volant.columns.id import Id
from volant.columns.json import Json
from volant.columns.list import List
from volant.columns.text import Text


def test_text_keeps_what_is_inside():
    assert Text().parse_cell("  Two  words\n") == "Two  words"
    assert Text().parse_cell("1.0") == "1.0"
    assert Text().parse_cell(5) == "5"
    assert Text().parse_cell("none") is None
    parsed = Text().parse(pa.array([" a ", "", None, "TRUE"]))
    assert parsed.values.to_pylist() == ["a", None, None, "TRUE"]


@pytest.mark.parametrize("cell", [b"x", ["a"], {"a": 1}])
def test_text_refuses_what_is_no_text(cell):
    with pytest.raises(ValueError, match="expected"):
        Text().parse_cell(cell)


@pytest.mark.parametrize(
    ("values", "sure"),
    [
        ([f"the room number {n} was clean" for n in range(30)], True),
        (["这家酒店的服务非常好", "房间很小", "早餐不错,下次再来"], True),
        (["Braund, Mr. Owen Harris", "Heikkinen, Miss. Laina"], True),
        (["red", "green", "blue"], False),
        (["month to month"] * 30, False),
        (["New York", "Los Angeles"] * 30, False),
        ([], False),
    ],
)
def test_text_recognises_sentences(values, sure):
    assert (Text().recognise("x", pa.array(values, pa.string())).confidence > 0.75) == sure


def test_id_has_the_form_of_a_category():
    assert [Id().parse_cell(cell) for cell in (7, 7.0, "7", " 7 ", None)] == ["7", "7", "7", "7", None]


@pytest.mark.parametrize(
    ("name", "values", "sure"),
    [
        ("customerID", [f"{n}-A B" for n in range(30)], True),
        ("PassengerId", list(range(30)), True),
        ("Unnamed: 0", list(range(30)), True),
        ("订单编号", [f"A{n}" for n in range(5)], True),
        ("x", [str(uuid.UUID(int=n)) for n in range(3)], True),
        ("code", [f"k{n}" for n in range(30)], True),
        ("amount", list(range(30)), False),
        ("paid", list(range(30)), False),
        ("user_id", [1, 2, 3] * 10, False),
        ("id", [0.5, 1.5], False),
        ("comment_id_text", [f"a long comment of person {n}" for n in range(30)], False),
        ("id", [], False),
    ],
)
def test_id_recognises(name, values, sure):
    array = pa.array(values) if values else pa.array([], pa.string())
    assert (Id().recognise(name, array).confidence > 0.75) == sure


def test_list_and_json_have_one_form():
    assert List().parse_cell("[1,  2]") == List().parse_cell([1, 2]) == List().parse_cell(np.array([1, 2])) == "[1,2]"
    assert Json().parse_cell('{"b": 1, "a": "é"}') == Json().parse_cell({"b": 1, "a": "é"}) == '{"a":"é","b":1}'
    assert List().parse(pa.array([[1, 2], None])).values.to_pylist() == ["[1,2]", None]
    assert Json().parse(pa.array([{"a": 1}, None])).values.to_pylist() == ['{"a":1}', None]
    assert List().parse_cell("NULL") is None


@pytest.mark.parametrize("cell", ['{"a": 1}', "[1", "5", 5, b"[]", "[NaN]", "[" * 100_000, [float("nan")]])
def test_list_refuses(cell):
    with pytest.raises(ValueError):
        List().parse_cell(cell)


@pytest.mark.parametrize("cell", ["5", '"text"', 5, "{", {"a": b"x"}, {"a": float("inf")}])
def test_json_refuses(cell):
    with pytest.raises(ValueError):
        Json().parse_cell(cell)


def test_list_and_json_recognise():
    lists, objects = pa.array(["[1, 2]", "[]"]), pa.array(['{"a": 1}', "{}"])
    assert List().recognise("x", lists).confidence > 0.9 > Json().recognise("x", lists).confidence
    assert Json().recognise("x", objects).confidence > 0.9 > List().recognise("x", objects).confidence
    assert List().recognise("x", pa.array([[1], [2]])).confidence > 0.9
    assert Json().recognise("x", pa.array([{"a": 1}])).confidence > 0.9
    for kind in (List(), Json()):
        assert kind.recognise("x", pa.array(["a", "[b"])).confidence == 0.0
        assert kind.recognise("x", pa.array([], pa.string())).confidence == 0.0
