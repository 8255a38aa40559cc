import doctest
import importlib
import pkgutil

import pyarrow as pa
import pytest

import volant.columns
from volant.columns.category import Category
from volant.columns.missing import TOKENS, null_missing, tokens, with_missing
from volant.columns.number import Number
from volant.columns.text import Text
from volant.columns.timestamp import Timestamp

MODULES = [f"volant.columns.{found.name}" for found in pkgutil.iter_modules(volant.columns.__path__)]


@pytest.mark.parametrize("kind", [Number(), Category(), Text(), Timestamp()], ids=lambda kind: kind.name)
@pytest.mark.parametrize("token", sorted(TOKENS))
def test_every_type_knows_every_token(kind, token):
    assert kind.parse_cell(f" {token} ") is None
    parsed = kind.parse(pa.array([f" {token}\t", None]))
    assert parsed.values.null_count == 2
    assert len(parsed.unreadable) == 0


def test_a_product_replaces_the_list():
    category = with_missing(Category(), ["unknown", " - "])
    cells = ["NA", "unknown", "-", "", "a"]
    expected = ["NA", None, None, None, "a"]
    assert [category.parse_cell(cell) for cell in cells] == expected
    assert category.parse(pa.array(cells)).values.to_pylist() == expected


def test_nothing_chosen_changes_nothing():
    kind = Category()
    assert with_missing(kind, None) is kind
    foreign = object()
    assert with_missing(foreign, ["x"]) is foreign


def test_the_empty_text_is_always_missing():
    assert tokens([]) == frozenset([""])


def test_null_missing_takes_any_text_type():
    assert null_missing(pa.array(["a", "NA"], pa.large_string()), TOKENS).to_pylist() == ["a", None]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0
