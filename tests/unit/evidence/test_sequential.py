"""Tests that may be looked at after every event."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from volant.evidence.sequential import bounds, bounds_of_average, first_sure, log_wealth, spent


def three(rng, up, down, n):
    """Values -1, 0 and 1."""
    drawn = rng.random(n)
    return np.where(drawn < up, 1.0, np.where(drawn < up + down, -1.0, 0.0))


def test_looking_all_the_time_is_rarely_wrong():
    rng = np.random.default_rng(0)
    wrong = sum(first_sure(three(rng, 0.12, 0.12, 2000), -1.0, 0.05) is not None for _ in range(400))
    assert beta.ppf(0.025, wrong, 400 - wrong + 1) <= 0.05


def test_a_true_gain_is_found():
    rng = np.random.default_rng(1)
    found = [first_sure(three(rng, 0.14, 0.10, 5000), -1.0, 0.05) for _ in range(60)]
    assert sum(one is not None for one in found) >= 48


def test_rare_disasters_are_not_overlooked():
    """A gain of a little in nearly all rows, and a loss of much in a few: the mean is below 0."""
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(300):
        values = np.where(rng.random(2000) < 0.02, -10.0, 0.2)
        wrong += first_sure(values, -10.0, 0.05) is not None
    assert wrong <= 0.05 * 300 + 8


def test_wealth_does_not_depend_on_what_is_still_to_come():
    values = np.random.default_rng(3).uniform(-1, 1, 300)
    assert np.array_equal(log_wealth(values, -1.0)[:100], log_wealth(values[:100], -1.0))


def test_bounds_hold_the_mean_and_narrow():
    rng = np.random.default_rng(4)
    missed = 0
    for _ in range(100):
        values = rng.beta(2, 5, 400)
        found = bounds(values, 0.0, 1.0, 0.05)
        missed += not found.low <= 2 / 7 <= found.high
    assert missed <= 5
    widths = [bounds(values[:n], 0.0, 1.0, 0.05) for n in (20, 100, 400)]
    assert widths[0].high - widths[0].low > widths[1].high - widths[1].low > widths[2].high - widths[2].low


def test_nothing_is_known_of_nothing():
    found = bounds(np.empty(0), 0.0, 1.0, 0.05)
    assert (found.n, found.low, found.high) == (0, 0.0, 1.0)
    assert first_sure(np.empty(0), -1.0, 0.05) is None


def test_all_tests_together_spend_no_more():
    assert sum(spent(0.05, turn) for turn in range(1, 2000)) <= 0.05
    with pytest.raises(ValueError, match="counted from 1"):
        spent(0.05, 0)


def test_a_claim_below_the_least_value_makes_no_sense():
    with pytest.raises(ValueError, match="below the mean"):
        log_wealth(np.ones(3), 0.0, 0.0)


def test_a_stretch_that_was_better_proves_nothing_of_the_whole():
    values = np.concatenate([np.tile([0.4, 0.8], 500), np.tile([-0.8, -0.4], 500)])
    now = bounds_of_average(values, -1.0, 1.0, 0.05)
    assert now.low < 0 < now.high
    assert bounds(values, -1.0, 1.0, 0.05).low > 0.2
    assert np.isnan(bounds_of_average(np.empty(0), -1.0, 1.0, 0.05).mean)
