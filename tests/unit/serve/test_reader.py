"""Reading bodies: the quick way says the same as the careful one, or nothing."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volant.core.records import Field, Signature
from volant.errors import VolantError
from volant.runtime.rows import parse_rows
from volant.serve.asked import rows_of
from volant.serve.body import decode
from volant.serve.reader import GaveUp, Reader

SIGNATURE = Signature(
    "classify",
    "y",
    (
        Field("n", "number", True, 1.0),
        Field("m", "number", False, 1.0),
        Field("c", "category", True, "a", ("a", "b")),
        Field("b", "boolean", False, True),
        Field("t", "timestamp", False, "2026-01-01"),
        Field("x", "text", False, "some"),
        Field("l", "list", False, "[1]"),
    ),
    (),
    ("no", "yes"),
    beside=(Field("sex", "category"),),
)
READER = Reader(SIGNATURE)


def carefully(body):
    asked = rows_of(decode(body), 1000)
    columns, flags = parse_rows(asked.rows, SIGNATURE)
    inputs = [{k: v for k, v in row.items() if k != "y"} for row in asked.rows]
    return columns, {i: flag for i, flag in enumerate(flags) if flag}, list(asked.subjects), asked.single, inputs


def same(one, other):
    """Whether two readings mean the same: a whole number that is read as a float is the same number."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, float) and type(other) is int:
        return one == float(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def agrees(body):
    """Whether the quick way read the body; then it must have read what the careful one reads."""
    try:
        table = READER.read(body, 1000)
    except GaveUp:
        return False
    columns, flags, subjects, single, inputs = carefully(body)
    assert table.columns.keys() == columns.keys()
    assert all(same(list(table.columns[name]), columns[name]) for name in columns)
    assert (dict(table.flags), list(table.subjects), table.single) == (flags, subjects, single)
    assert same(msgspec.to_builtins(list(table.inputs)), inputs)
    return True


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": [{"n": 1, "c": "a"}]}',
        b'{"row": {"n": 1.5, "c": "z", "m": null, "b": true, "x": "some: {text}", "t": "2026-01-31T10:00:00"}}',
        b'{"rows": [{"n": null, "c": null}, {"n": "12.5%", "c": 1}], "subject": ["a", null]}',
        b'{"rows": [{"n": 1, "c": "a", "y": "no", "sex": "F"}], "subject": "anna"}',
        b'{"rows": [{"n": 123456789012345678901234567890, "c": true}]}',
        b'{"rows": [{"n": 1, "c": "a", "l": [1, 2]}]}',
    ],
)
def test_what_is_usual_is_read_quickly_and_alike(body):
    assert agrees(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"rows": []}',
        b'{"rows": [{"c": "a"}]}',
        b'{"rows": [{"n": 1, "n": 2, "c": "a"}]}',
        b'{"rows": [{"n": 1, "n": 2, "c": "a", "x": "a:b"}]}',
        b'{"rows": [{"n": 1, "c": "a", "more": 1}]}',
        b'{"rows": [{"n": "old", "c": "a"}]}',
        b'{"rows": [{"n": 1e999, "c": "a"}]}',
        b'{"rows": [{"n": [], "c": "a"}]}',
        b'{"rows": [{"n": 1, "c": {}}]}',
        b'{"rows": [{"n": 1, "c": "a"}], "row": {"n": 1, "c": "a"}}',
        b'{"rows": [{"n": 1, "c": "a"}], "subject": ["a", "b"]}',
        b'{"rows": [{"n": 1, "c": "a"}], "subject": ""}',
        b'{"rows": [{"n": 1, "c": "\xff"}]}',
        b'{"rows": [{"n": ' + b"9" * 400 + b', "c": "a"}]}',
    ],
)
def test_what_is_not_is_left_to_the_careful_way(body):
    with pytest.raises(GaveUp):
        READER.read(body, 1000)


def test_too_many_rows_are_left_to_the_careful_way():
    body = msgspec.json.encode({"rows": [{"n": 1, "c": "a"}] * 5})
    assert len(READER.read(body, 5)) == 5
    with pytest.raises(GaveUp):
        READER.read(body, 4)


cell = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.sampled_from(["", "NA", " a ", "a", "12", "1,234.5", "yes", "2026-01-31", "x:y", '"q"', "1.0", "nan", "inf"]),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
)
row = st.fixed_dictionaries(
    {"n": cell, "c": cell}, optional={name: cell for name in ("m", "b", "t", "x", "l", "sex", "y")}
)


@settings(max_examples=300, deadline=None)
@given(st.lists(row, min_size=1, max_size=3))
def test_whatever_it_reads_it_reads_as_the_careful_way_does(rows):
    body = msgspec.json.encode({"rows": rows})
    try:
        carefully(body)
    except VolantError:
        with pytest.raises(GaveUp):
            READER.read(body, 1000)
    else:
        agrees(body)
