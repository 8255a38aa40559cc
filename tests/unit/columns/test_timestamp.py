import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from volant.columns.timestamp import Timestamp, format_of

DAY = dt.datetime(2024, 1, 31)
READ = {
    "2024-01-31": DAY,
    "2024/1/31": DAY,
    "2024.01.31": DAY,
    "20240131": DAY,
    20240131: DAY,
    "1/31/2024": DAY,
    "31.1.2024": DAY,
    "31-01-2024": DAY,
    "31 Jan 2024": DAY,
    "31-Jan-2024": DAY,
    "January 31, 2024": DAY,
    "Jan 31st 2024": DAY,
    "Wed, 31 Jan 2024 00:00:00 GMT": DAY,
    "2024年1月31日": DAY,
    "2024-01": dt.datetime(2024, 1, 1),
    "2024-01-31T08:30": dt.datetime(2024, 1, 31, 8, 30),
    "2024-01-31 08:30:15.25": dt.datetime(2024, 1, 31, 8, 30, 15, 250000),
    "2024-01-31T08:30:00Z": dt.datetime(2024, 1, 31, 8, 30),
    "2024-01-31T08:30:00+02:00": dt.datetime(2024, 1, 31, 6, 30),
    "2024-01-31 08:30 -0530": dt.datetime(2024, 1, 31, 14, 0),
    "1/31/2024 8:30 PM": dt.datetime(2024, 1, 31, 20, 30),
    "1/31/2024 12:05 am": dt.datetime(2024, 1, 31, 0, 5),
    "2024年1月31日 8时30分": dt.datetime(2024, 1, 31, 8, 30),
    "2024年1月31日08:30:15": dt.datetime(2024, 1, 31, 8, 30, 15),
    dt.date(2024, 1, 31): DAY,
    np.datetime64("2024-01-31"): DAY,
    dt.datetime(2024, 1, 31, 8, tzinfo=dt.timezone(dt.timedelta(hours=8))): DAY,
    "": None,
    "NaT": None,
    None: None,
}


@pytest.mark.parametrize(("cell", "value"), READ.items(), ids=repr)
def test_reads(cell, value):
    assert Timestamp().parse_cell(cell) == value
    raw = pa.array(np.array([cell]) if isinstance(cell, np.datetime64) else [cell])
    assert Timestamp().parse(raw).values.to_pylist() == [value]


@pytest.mark.parametrize(
    "cell",
    [
        *("31/1/2024", "2024-02-30", "2024-13-01", "soon", "12:30", "1/2/24", "1700000000", 1700000000, 45321.5, True),
        *("2024-01-31 25:00", "1/31/2024 13:00 pm", "2024-01-31T08:00+99:00", "0001-01-01T00:00+10:00", b"x", [1]),
    ],
)
def test_refuses(cell):
    with pytest.raises(ValueError):
        Timestamp().parse_cell(cell)


def test_the_separator_says_which_number_is_the_day():
    first_of_february, second_of_january = dt.datetime(2024, 2, 1), dt.datetime(2024, 1, 2)
    assert Timestamp().parse_cell("1/2/2024") == second_of_january
    assert Timestamp().parse_cell("1.2.2024") == first_of_february
    assert Timestamp().parse_cell("1-2-2024") == first_of_february
    assert Timestamp(day_first=True).parse_cell("1/2/2024") == first_of_february
    assert Timestamp(day_first=True).parse(pa.array(["1/2/2024"])).values.to_pylist() == [first_of_february]


def test_days_that_break_the_rule_are_listed():
    parsed = Timestamp().parse(pa.array(["1/31/2024", "31/1/2024", None, "2024-01-31"]))
    assert parsed.values.to_pylist() == [DAY, None, None, DAY]
    assert parsed.unreadable.tolist() == [1]


def test_nanoseconds_are_cut_off():
    raw = pa.array([1_500, -1_500], pa.timestamp("ns"))
    assert Timestamp().parse(raw).values.cast(pa.int64()).to_pylist() == [1, -2]


def test_years_out_of_range_are_listed():
    assert Timestamp().parse(pa.array([10**15, 0], pa.timestamp("s"))).unreadable.tolist() == [0]


def test_to_numpy_counts_microseconds():
    array = Timestamp().to_numpy(pa.array([DAY, None], pa.timestamp("us")))
    assert array.dtype == np.dtype("datetime64[us]")
    assert np.isnat(array[1])


@pytest.mark.parametrize(
    ("name", "values", "sure"),
    [
        ("x", pa.array(["2024-01-31", "2024-02-01"]), True),
        ("x", pa.array([dt.date(2024, 1, 31)]), True),
        ("x", pa.array(["1/31/2024", "2024-01-31"]), True),
        ("x", pa.array(["31/1/2024", "30/1/2024"]), True),
        ("signup_date", pa.array([20240131, 20240201]), True),
        ("signup_date", pa.array(["20240131", "20240201"]), True),
        ("amount", pa.array([20240131, 20240201]), False),
        ("when", pa.array(["soon", "2024-01-31"]), False),
        ("x", pa.array([], pa.string()), False),
    ],
)
def test_recognises(name, values, sure):
    assert (Timestamp().recognise(name, values).confidence > 0.9) == sure


def test_the_reason_names_the_formats_and_the_trouble():
    mixed = Timestamp().recognise("x", pa.array(["31/1/2024", "2024-01-31"]))
    assert mixed.reason == (
        "dates as MM/DD/YYYY and YYYY-MM-DD, all different in 2 rows; 1 of them cannot be read that way"
    )


def test_format_of():
    assert format_of(" 31.1.2024 8:30") == "DD.MM.YYYY"
    assert format_of("31 of January") is None
