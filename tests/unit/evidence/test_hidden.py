"""What looks like a no may be a yes that nobody has seen yet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volant.evidence.hidden import arrived, hidden, looked_at


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_hidden_yes_is_never_likelier_than_a_yes(likely, shown):
    found = float(hidden(np.array([likely]), np.array([shown]))[0])
    assert -1e-12 <= found <= likely + 1e-12


def test_what_has_long_been_waited_for_is_a_no():
    found = hidden(np.full(3, 0.3), np.array([0.0, 0.5, 1.0]))
    assert found[0] == pytest.approx(0.3)
    assert found[0] > found[1] > found[2] == 0


def test_rates_stay_calibrated_whatever_has_come_so_far():
    rng = np.random.default_rng(0)
    rate = rng.uniform(0.05, 0.6, 60_000)
    positive = rng.random(60_000) < rate
    delay, age = rng.exponential(3.0, 60_000), rng.uniform(0, 7, 60_000)
    seen = positive & (delay <= age)
    guess = np.where(seen, 1.0, hidden(rate, 1 - np.exp(-age / 3.0)))
    assert guess.mean() == pytest.approx(positive.mean(), rel=0.02)
    assert seen.mean() < 0.8 * positive.mean()


def test_delays_are_not_taken_for_shorter_because_long_ones_are_still_to_come():
    rng = np.random.default_rng(1)
    delay, age = rng.exponential(2.0, 40_000), rng.uniform(0.2, 10, 40_000)
    delay = np.minimum(delay, 9.99)
    seen = delay <= age
    ages = np.array([1.0, 2.0, 4.0])
    naive = np.array([(delay[seen] <= a).mean() for a in ages])
    truth = np.array([(delay <= a).mean() for a in ages])
    found = arrived(delay[seen], age[seen], ages)
    assert np.abs(found - truth).max() < 0.02 < np.abs(naive - truth).max()


def test_nothing_seen_means_that_everything_may_still_come():
    assert arrived(np.empty(0), np.empty(0), np.array([1.0, 5.0])).tolist() == [0.0, 0.0]


def test_what_places_do_is_told_apart_from_what_stands_there():
    rng = np.random.default_rng(2)
    appeal = rng.uniform(0.05, 0.9, 80_000)
    place = np.clip(np.argsort(np.argsort(-(appeal + rng.normal(0, 0.4, 80_000)))) // 8000, 0, 9)
    looks = (place + 1.0) ** -0.8
    acted = rng.random(80_000) < appeal * looks
    found = looked_at(appeal, place, acted)
    for k in range(10):
        assert found[place == k][0] == pytest.approx((k + 1) ** -0.8, abs=0.06)
