"""`parse` of every column type gives what `parse_cell` gives, cell by cell."""

import datetime as dt
import math
import string

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from volant.columns.boolean import Boolean
from volant.columns.category import Category
from volant.columns.id import Id
from volant.columns.json import Json
from volant.columns.list import List
from volant.columns.missing import TOKENS, with_missing
from volant.columns.number import Number
from volant.columns.text import Text
from volant.columns.timestamp import Timestamp

TYPES = [Number(), Category(), Boolean(), Timestamp(), Timestamp(day_first=True), Text(), Id(), List(), Json()]
OWN = [with_missing(kind, ["-999", "1", "true", "missing"]) for kind in TYPES]

numeric = st.text(alphabet="0123456789+-.,eE% infaNInfty()", max_size=10)
dates = st.from_regex(
    r"\s?(19|20)?\d\d[-/.]?[01]?\d[-/.]?[0-3]?\d"
    r"([T ][0-2]?\d(:[0-6]\d(:[0-6]\d(\.\d{1,8})?)?)?(Z| ?[+-][012]\d:?\d\d)?)?\s?",
    fullmatch=True,
)
slashed = st.from_regex(r"[01]?\d/[0-3]?\d/(19|20|00)\d\d( [0-2]?\d:[0-6]\d(:[0-6]\d)?)?( pm|Z)?", fullmatch=True)
words = st.sampled_from(
    [
        *sorted(TOKENS),
        *("true", "TRUE", "Yes", "no", "是", "off", "1", "0", "1.0", "-0.0", "007", "1,234.5", "12.5%"),
        *("-999", "missing", " -999 ", "1e400", "9" * 400, "inf", "-Infinity", "Nan", "20240131", "20241399"),
        *("31/1/2024", "1/31/2024", "2 Jan 2024", "Jan 2, 2024 3:04 PM", "2024年1月2日 3时4分", "1.2.2024", "2024-01"),
        *("0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-05:00", "Tue, 02 Jan 2024 10:00:00 GMT"),
        *("[1, 2]", '{"b": 1, "a": [null]}', "[NaN]", "[", "\u3000全角\u2003", "\x1c x \x85", "a\x00b"),
    ]
)
texts = st.one_of(numeric, dates, slashed, words, st.text(max_size=8), st.text(alphabet=string.printable, max_size=6))
floats = st.floats(width=64) | st.sampled_from([0.0, 1.0, -0.0, 2.0**53, 1e300, 20240131.0, -999.0])
moments = st.datetimes(min_value=dt.datetime(1, 1, 1), max_value=dt.datetime(9999, 12, 31))
COLUMNS = {
    pa.string(): texts,
    pa.large_string(): texts,
    pa.dictionary(pa.int32(), pa.string()): texts,
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, 20240131, -999]),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float64(): floats,
    pa.float32(): st.floats(width=32),
    pa.bool_(): st.booleans(),
    pa.decimal128(20, 3): st.decimals(-(10**15), 10**15, places=3),
    pa.timestamp("us"): moments,
    pa.timestamp("s"): moments.map(lambda at: at.replace(microsecond=0)),
    pa.timestamp("us", "Asia/Shanghai"): moments.filter(lambda at: 2 < at.year < 9998),
    pa.date32(): st.dates(),
    pa.time64("us"): st.times(),
    pa.duration("us"): st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999)),
    pa.binary(): st.binary(max_size=4),
    pa.list_(pa.float64()): st.lists(floats, max_size=3),
    pa.struct({"a": pa.int64(), "b": pa.string()}): st.fixed_dictionaries(
        {"a": st.integers(0, 9), "b": st.text(max_size=2)}
    ),
    pa.null(): st.none(),
}


def by_cell(kind, cells):
    """What `parse_cell` says about each cell: the values, and the positions of those it refuses."""
    values, refused = [], []
    for place, cell in enumerate(cells):
        try:
            values.append(kind.parse_cell(cell))
        except ValueError:
            values.append(None)
            refused.append(place)
    return values, refused


def same(left, right):
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("kind", [*TYPES, *OWN], ids=lambda kind: kind.name)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_arrays_are_read_like_their_cells(kind, data):
    arrow, cells = data.draw(st.sampled_from(sorted(COLUMNS.items(), key=str)))
    raw = pa.array(data.draw(st.lists(cells | st.none(), max_size=12)), arrow)
    expected, refused = by_cell(kind, raw.to_pylist())
    parsed = kind.parse(raw)
    assert parsed.values.type == kind.storage
    assert parsed.unreadable.tolist() == refused
    got = parsed.values.to_pylist()
    assert all(same(a, b) for a, b in zip(got, expected, strict=True)), (raw, got, expected)
    assert kind.to_numpy(parsed.values).shape == (len(raw),)
    chunked = kind.parse(pa.chunked_array([raw.slice(0, 2), raw.slice(2)], arrow))
    assert chunked.values.equals(parsed.values) or any(value != value for value in got)


anything = st.one_of(
    st.none(),
    texts,
    floats,
    st.integers(),
    st.integers(10**398, 10**400),
    st.booleans(),
    st.binary(max_size=3),
    moments,
    st.dates(),
    st.lists(st.integers() | st.text(max_size=2) | st.none(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers() | floats, max_size=2),
    st.sampled_from(
        [
            np.int32(7),
            np.float32(0.5),
            np.float64("nan"),
            np.bool_(True),
            np.str_(" x "),
            np.datetime64("2024-01-02T03:04"),
            np.datetime64("NaT"),
            np.timedelta64(5, "s"),
            np.bytes_(b"x"),
            np.array([1, 2]),
            object(),
            float("nan"),
            "\ud800",
        ]
    ),
)


@pytest.mark.parametrize("kind", [*TYPES, *OWN], ids=lambda kind: kind.name)
@settings(max_examples=60, deadline=None)
@given(cell=anything)
def test_any_cell_is_read_or_refused(kind, cell):
    try:
        value = kind.parse_cell(cell)
    except ValueError:
        return
    assert not isinstance(cell, bytes)
    again = pa.array([value], kind.storage)
    assert kind in OWN or kind.parse(again).values.to_pylist() == again.to_pylist()


@pytest.mark.parametrize("kind", [Number(), Category(), Boolean(), Id(), Text()], ids=lambda kind: kind.name)
@given(number=st.integers(-(10**14), 10**14) | st.sampled_from([0, 1]))
def test_whole_numbers_are_the_same_from_every_source(kind, number):
    forms = [number, float(number), np.int64(number), str(number), f" {number} "]
    forms += [] if kind.name == "text" else [f"{number}.0"]
    values, refused = by_cell(kind, forms)
    assert len(set(values)) == 1
    assert len(refused) in (0, len(forms))
