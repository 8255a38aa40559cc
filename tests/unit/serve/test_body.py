"""Strict JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volant.serve.body import decode
from volant.serve.problems import HttpError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_whatever_is_json_is_read(value):
    assert decode(json.dumps(value).encode()) == value


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(0, 9), max_size=4), max_size=4), st.text())
def test_rows_are_read_whatever_their_texts_hold(rows, subject):
    value = {"rows": rows, "subject": subject}
    assert decode(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"rows": [}', 400),
        (b'{"a": 1} x', 400),
        (b'{"a": NaN}', 400),
        (b'{"a": -Infinity}', 400),
        (b'{"a": "\xff"}', 400),
        (b'{"a": "\\ud800"}', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b"[" * 100_000, 400),
        (b"[" * 100 + b"]" * 100, 400),
        (b'{"a":' * 80 + b"1" + b"}" * 80, 400),
        (b'{"a": 1, "a": 1}', 400),
        (b'{"rows": [{"a": 1, "a": 1}]}', 400),
        (b'{"rows": [{"a": 1}], "rows": [{"a": 1}]}', 400),
        (b'{"rows": [{"a": 1}, {"b": {"c": 1, "c": 2}}]}', 400),
        (b'{"rows": [{"a:": ":", "a\\u003a": ":"}]}', 400),
        (b'{"rows": ["{"], "x": 1, "x": 2}', 400),
        (b"[1e999]", 422),
        (b"[" + b"9" * 5000 + b"]", 422),
    ],
)
def test_what_other_readers_let_pass_is_refused(body, status):
    with pytest.raises(HttpError) as caught:
        decode(body)
    assert caught.value.status == status


def test_the_place_of_an_error_is_told_and_nothing_of_the_body():
    with pytest.raises(HttpError) as caught:
        decode(b'{"name": "anna", }')
    [trouble] = caught.value.troubles
    assert trouble.where == "body, byte 17"
    assert "anna" not in str(caught.value)


def test_braces_in_texts_are_not_taken_for_objects():
    assert decode(b'{"rows": ["{"]}') == {"rows": ["{"]}
    assert decode(b'{"rows": [{"a": "{:}"}]}') == {"rows": [{"a": "{:}"}]}
