"""Drift is a size: it does not grow with the number of rows, and alarms are rarely false."""

import numpy as np
import pytest

from volant.evidence.drift import Shares, compare, of_names, of_numbers

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("rows", [300, 3_000, 30_000])
def test_the_size_is_the_same_for_few_rows_and_for_many(rows):
    reference = of_numbers(RNG.normal(size=20_000))
    found = [compare("input", "x", reference, RNG.normal(0.5, 1, rows), alpha=0.05, least=0.1) for _ in range(5)]
    assert np.mean([one.distance for one in found]) == pytest.approx(0.19, abs=0.03)
    assert all(one.low <= one.distance <= one.high for one in found)


def test_what_has_not_moved_raises_no_alarm_and_what_has_moved_little_does_not_however_many_rows():
    reference = of_numbers(RNG.normal(size=20_000))
    alarms = [compare("input", "x", reference, RNG.normal(size=400), alpha=0.05, least=0.01).alarm for _ in range(300)]
    assert sum(alarms) <= 15
    many = compare("input", "x", reference, RNG.normal(0.1, 1, 200_000), alpha=0.05, least=0.1)
    assert not many.alarm
    assert many.low > 0


def test_missing_and_new_categories_are_distances_too():
    reference = of_names(["a"] * 500 + ["b"] * 500)
    gone = compare("input", "c", reference, ["a"] * 500 + [None] * 500, alpha=0.05, least=0.1)
    new = compare("input", "c", reference, ["a"] * 500 + ["z"] * 500, alpha=0.05, least=0.1)
    assert gone.alarm
    assert new.alarm
    assert gone.distance == pytest.approx(0.5, abs=0.03)


def test_constant_and_discrete_numbers_are_compared_exactly():
    zeros = of_numbers(np.zeros(1000))
    assert not compare("input", "x", zeros, np.zeros(1000), alpha=0.05, least=0.05).alarm
    assert compare("input", "x", zeros, np.full(1000, 7.0), alpha=0.05, least=0.1).alarm
    holes = of_numbers(np.where(RNG.random(2000) < 0.3, np.nan, 1.0))
    assert compare("input", "x", holes, np.full(1000, np.nan), alpha=0.05, least=0.1).alarm


def test_names_with_few_rows_are_not_remembered():
    assert of_names(["ann"] * 3 + ["x"] * 100).names == ("x",)
    kept = of_numbers(np.arange(100.0))
    assert Shares.of_record(kept.record()) == kept
