"""Cells of labels have one form, whatever they were written as."""

from __future__ import annotations

import pyarrow as pa
import pytest

from volant.columns.labels import Labels, presences

KIND = Labels()


@pytest.mark.parametrize(
    ("cell", "canonical"),
    [
        ("b|a", '["a","b"]'),
        (" b | a | a ", '["a","b"]'),
        ('["b", "a"]', '["a","b"]'),
        (["b", 1], '["1","b"]'),
        ("[]", "[]"),
        ([], "[]"),
        ("one", '["one"]'),
        ({"b": True, "a": False}, '{"a":false,"b":true}'),
        ("", None),
        ("NA", None),
        (None, None),
    ],
)
def test_cells_become_sorted_lists_or_what_is_said_of_some(cell, canonical):
    assert KIND.parse_cell(cell) == canonical
    assert KIND.parse_cell(canonical) == canonical


@pytest.mark.parametrize("cell", [[["a"]], {"a": 1}, {}, ["a|b"], [True], "[1", 3.5j, ["a\nb"], ["x" * 501]])
def test_what_names_no_labels_is_refused(cell):
    with pytest.raises(ValueError, match="expected"):
        KIND.parse_cell(cell)


def test_an_empty_list_says_something_and_a_missing_cell_does_not():
    assert presences("[]") == ({}, True)
    assert KIND.parse(pa.array(["a|b", None, "[]"])).values.to_pylist() == ['["a","b"]', None, "[]"]
