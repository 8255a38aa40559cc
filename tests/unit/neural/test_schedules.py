from __future__ import annotations

import pytest

from volant.neural.schedules import constant, cosine, flat_cosine, log_cosine, warm

PLACES = [i / 200 for i in range(201)]


@pytest.mark.parametrize("schedule", [constant, cosine, flat_cosine, log_cosine(4), warm(cosine, 0.1)])
def test_factors_lie_between_zero_and_one(schedule):
    assert all(-1e-12 <= schedule(place) <= 1.0 + 1e-12 for place in PLACES)


@pytest.mark.parametrize("schedule", [cosine, flat_cosine, log_cosine(4), warm(cosine, 0.1)])
def test_rates_end_at_zero(schedule):
    assert schedule(1.0) == pytest.approx(0.0, abs=1e-9)


def test_flat_cosine_is_flat_for_the_first_half():
    assert all(flat_cosine(place) == 1.0 for place in PLACES if place <= 0.5)


def test_each_cycle_is_twice_as_long_as_the_one_before():
    schedule = log_cosine(4)
    lows = [place for place in (0.0, 1 / 15, 3 / 15, 7 / 15, 1.0)]
    assert all(schedule(place) == pytest.approx(0.0, abs=1e-9) for place in lows)
    peaks = [i for i in range(1, 200) if schedule(PLACES[i]) > max(schedule(PLACES[i - 1]), schedule(PLACES[i + 1]))]
    assert len(peaks) == 4


def test_a_warm_start_rises():
    schedule = warm(constant, 0.1)
    assert 0 < schedule(0.0) < schedule(0.05) < schedule(0.1) == 1.0
