from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volant.core.expression import parse

EVENTS = {
    "click": np.array([True, True, False, np.nan]),
    "dwell": np.array([12.0, 5.0, 60.0, np.nan]),
    "page": np.array(["home", "shop", None, "shop"], dtype=object),
}


def holds(text):
    return parse(text).matches(EVENTS, 4).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("click", [1, 1, 0, 0]),
        ("click & dwell > 10s", [1, 0, 0, 0]),
        ("click and dwell > 10", [1, 0, 0, 0]),
        ("dwell >= 1m", [0, 0, 1, 0]),
        ("dwell < 0.1m | page = 'shop'", [0, 1, 0, 1]),
        ("!click", [0, 0, 1, 1]),
        ("!(click | dwell > 10s)", [0, 0, 0, 1]),
        ('not click && page == "shop"', [0, 0, 0, 1]),
        ("page != 'home'", [0, 1, 0, 1]),
        ("absent", [0, 0, 0, 0]),
        ("absent > 1 | !absent", [1, 1, 1, 1]),
        ("dwell != 12", [0, 1, 1, 0]),
        ("page > 3", [0, 0, 0, 0]),
        ("click | dwell > 10s & page = 'nowhere'", [1, 1, 0, 0]),
        ("true", [1, 1, 1, 1]),
        ("click = true", [1, 1, 0, 0]),
    ],
)
def test_what_a_condition_means(text, expected):
    assert holds(text) == [bool(one) for one in expected]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected at character 1"),
        ("click &", "a field, a number or a text was expected at character 8"),
        ("click dwell", "& or | was expected at character 7"),
        ("(click", "closing ) was expected"),
        ("click ; dwell", "';' means nothing at character 6"),
        ("dwell > 10w", "means nothing"),
        ("a < b < c", "& or | was expected"),
        ("__import__('os')", "& or | was expected"),
        ("x" * 2000, "at most 1000 characters"),
        ("(" * 100 + "x" + ")" * 100, "nested too deeply"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_place(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        parse(text)


def test_the_fields_are_known():
    assert parse("click & (dwell > 10s | click) & 'x' = page.name").names == ("click", "dwell", "page.name")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_a_value_error(text):
    try:
        found = parse(text)
    except ValueError:
        return
    assert found.matches(EVENTS, 4).shape == (4,)
