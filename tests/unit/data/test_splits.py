"""Sides follow from keys alone: what is added or erased moves no other row."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volant.data.splits import assign, content_hashes, earliest, row_keys, time_cuts

KEYS = np.array([f"k{i}" for i in range(2000)], dtype=object)


def test_shares_are_about_right():
    sides, _ = assign(KEYS, salt="s", judge=0.2, test=0.1)
    assert np.mean(sides == "judge") == pytest.approx(0.2, abs=0.03)
    assert np.mean(sides == "test") == pytest.approx(0.1, abs=0.03)


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 1999), min_size=1, max_size=300), st.integers(0, 2**32))
def test_erasing_rows_moves_no_other(gone, salt):
    sides, _ = assign(KEYS, salt=str(salt), judge=0.2, test=0.1)
    left = np.array([i for i in range(2000) if i not in gone])
    again, _ = assign(KEYS[left], salt=str(salt), judge=0.2, test=0.1)
    assert (again == sides[left]).all()


def test_one_key_is_never_on_two_sides():
    keys = np.repeat(KEYS[:300], 5)
    labels = np.array([str(i % 3) for i in range(len(keys))])
    for strata in (None, labels):
        sides, _ = assign(keys, salt="s", judge=0.3, test=0.3, labels=strata)
        assert all(len(set(sides[keys == key])) == 1 for key in KEYS[:300])


def test_stratified_shares_are_exact_per_class_and_stay():
    labels = np.array(["rare" if i < 40 else "common" for i in range(2000)])
    sides, cuts = assign(KEYS, salt="s", judge=0.25, test=0.25, labels=labels)
    assert np.sum(sides[:40] == "judge") == 10
    assert np.sum(sides[:40] == "test") == 10
    again, _ = assign(KEYS[30:], salt="s", judge=0.25, test=0.25, labels=labels[30:], cuts=cuts)
    assert (again == sides[30:]).all()


def test_the_latest_rows_test_and_later_versions_keep_the_cuts():
    times = np.datetime64("2024-01-01") + np.arange(100) * np.timedelta64(1, "D")
    sides, cuts = assign(KEYS[:100], salt="s", judge=0.2, test=0.1, times=times)
    assert list(sides[:70]) == ["train"] * 70
    assert set(sides[-10:]) == {"test"}
    assert set(sides[71:89]) == {"judge"}
    more = np.append(times, np.datetime64("2025-01-01"))
    again, _ = assign(KEYS[:101], salt="s", judge=0.2, test=0.1, times=more, cuts=cuts)
    assert (again[:100] == sides).all()
    assert again[100] == "test"


def test_hashes_see_values_names_and_missing_but_not_the_order_of_columns():
    a, b = pa.array([1.0, None, 0.0]), pa.array(["x", None, "x"])
    one = content_hashes(pa.table({"a": a, "b": b}))
    assert (one == content_hashes(pa.table({"b": b, "a": a}))).all()
    assert len(set(one)) == 3
    assert not (one == content_hashes(pa.table({"c": a, "b": b}))).any()
    assert (content_hashes(pa.table({"a": pa.array([-0.0])})) == content_hashes(pa.table({"a": pa.array([0.0])}))).all()


def test_keys_are_subjects_where_there_are_any():
    table = pa.table({"who": pa.array(["u1", None, "u1"]), "x": [1.0, 1.0, 2.0]})
    keys = row_keys(table, subject="who", inputs=["x"])
    assert keys[0] == keys[2] == "u1"
    assert keys[1].startswith("#")


def test_a_subject_stays_where_its_first_row_stands_under_a_split_by_time():
    times = np.datetime64("2024-01-01") + np.arange(100) * np.timedelta64(1, "D")
    keys = np.array([f"u{n % 30}" if n < 60 or n % 2 else f"late{n}" for n in range(100)], dtype=object)
    sides, cuts = assign(keys, salt="s", judge=0.2, test=0.1, times=earliest(times, keys))
    assert all(len(set(sides[keys == key])) == 1 for key in set(keys))
    assert {"train", "judge", "test"} == set(sides)
    kept = keys != "u3"
    again, _ = assign(keys[kept], salt="s", judge=0.2, test=0.1, times=earliest(times[kept], keys[kept]), cuts=cuts)
    assert (again == sides[kept]).all()


@pytest.mark.parametrize("rows", [(9, 1, 90), (1, 98, 1), (98, 1, 1), (1, 1, 98), (40, 30, 30), (5, 5, 5, 85)])
def test_each_side_has_rows_where_few_times_are_many_rows(rows):
    times = np.repeat(np.datetime64("2024-01-01") + np.arange(len(rows)) * np.timedelta64(1, "D"), rows)
    sides, cuts = assign(KEYS[: len(times)], salt="s", judge=0.1, test=0.1, times=times)
    assert {"train", "judge", "test"} == set(sides)
    assert list(sides) == sorted(sides, key=["train", "judge", "test"].index)
    assert (assign(KEYS[: len(times)], salt="s", judge=0.1, test=0.1, times=times, cuts=cuts)[0] == sides).all()


def test_two_times_are_enough_for_two_sides():
    times = np.repeat(np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[us]"), [5, 95])
    sides, _ = assign(KEYS[:100], salt="s", judge=0.1, test=0.0, times=times)
    assert list(sides) == ["train"] * 5 + ["judge"] * 95


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=3, max_size=60), st.floats(0.01, 0.4), st.floats(0.0, 0.4))
def test_a_time_is_on_one_side_and_later_ones_never_on_an_earlier_side(days, judge, test):
    times = np.sort(np.datetime64("2024-01-01", "us") + np.array(days) * np.timedelta64(1, "D"))
    sides, cuts = assign(KEYS[: len(times)], salt="s", judge=judge, test=test, times=times)
    assert cuts == time_cuts(times, judge, test)
    order = ["train", "judge", "test"] if test else ["train", "judge"]
    assert list(sides) == sorted(sides, key=order.index)
    assert all(len(set(sides[times == time])) == 1 for time in times)
    if len(set(days)) >= len(order):
        assert set(sides) == set(order)
