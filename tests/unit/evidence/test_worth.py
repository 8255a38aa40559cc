"""What a challenger would have earned on traffic that others answered."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from volant.evidence.people import DAY, MOST_OF_ONE, people
from volant.evidence.worth import Shown, looks_at, worth

SHARE = np.array([0.1, 0.6])
"""Of the other release, before and after noon."""
WORTH = np.array([[0.5, 0.8], [0.7, 0.3], [0.4, 0.4]])
"""Of a decision (0 or 1) in each of three situations, in the morning; in the afternoon everything is worth half."""


def world(n, seed, ours=(1, 0, 0), many=1):
    """People meet the champion (always 0) or another release (1 in situations 0 and 1); what `ours` would decide."""
    chance = np.random.default_rng(seed)
    person = np.repeat(np.arange(n // many), many)
    noon = (person >= n // many // 2).astype(int)
    situation = chance.integers(0, 3, n)
    other = np.repeat(chance.random(n // many), many) < SHARE[noon]
    arms = np.stack([np.zeros(n, dtype=int), (situation < 2).astype(int)], axis=1)
    decision = np.where(other, arms[:, 1], arms[:, 0])
    reward = (chance.random(n) < WORTH[situation, decision] / (1 + noon)).astype(float)
    shares = np.stack([1 - SHARE[noon], SHARE[noon]], axis=1)
    judged = np.array(ours)[situation]
    shown = Shown(reward, decision, arms, shares, judged, np.zeros(n, dtype=int), situation, np.ones(n))
    return shown, people(pa.nulls(n, pa.string()), person, n)


def truth(ours):
    """What always deciding so in each situation is worth, on average over the day."""
    return float(WORTH[np.arange(3), list(ours)].mean()) * 0.75


def test_the_difference_is_found_and_the_naive_one_is_wrong():
    shown, whose = world(40_000, 0)
    found = worth(shown, whose, 0.05)
    gain = truth((1, 0, 0)) - truth((0, 0, 0))
    assert found.low < gain < found.high
    assert found.gain == pytest.approx(gain, abs=0.02)
    assert found.challenger == pytest.approx(truth((1, 0, 0)), abs=0.02)
    assert found.champion == pytest.approx(truth((0, 0, 0)), abs=0.02)
    assert found.low > 0
    follows = shown.decision == shown.ours
    naive = shown.reward[follows].mean() - shown.reward[shown.decision == shown.theirs].mean()
    assert abs(naive - gain) > 0.02
    assert found.untold == 0
    assert found.differs == pytest.approx(1 / 3, abs=0.02)


def test_bounds_hold_for_a_better_a_worse_and_an_equal_challenger():
    missed = 0
    for seed in range(90):
        ours = [(1, 0, 0), (0, 1, 0), (1, 1, 0)][seed % 3]
        found = worth(*world(1_200, seed, ours), 0.1)
        gain = truth(ours) - truth((0, 0, 0))
        missed += not found.low <= gain <= found.high
    assert missed <= 9


def test_what_was_never_shown_may_be_worth_anything():
    shown, whose = world(30_000, 1, ours=(0, 0, 1))
    found = worth(shown, whose, 0.05)
    assert found.untold == pytest.approx(1 / 3, abs=0.02)
    assert found.low < -0.05
    assert found.high > 0.15


def test_who_decides_alike_earns_alike_whatever_was_shown():
    found = worth(*world(500, 2, ours=(0, 0, 0)), 0.05)
    assert (found.gain, found.differs, found.untold) == (0, 0, 0)
    assert found.low == pytest.approx(0, abs=0.1)
    assert found.high == pytest.approx(0, abs=0.1)


def test_people_who_come_often_are_still_one_each():
    once, often = worth(*world(1_000, 3), 0.05), worth(*world(50_000, 3, many=50), 0.05)
    assert often.people == once.people == 1_000
    assert often.high - often.low > 0.4 * (once.high - once.low)


def test_a_propensity_of_nothing_and_rewards_that_are_no_numbers_are_not_sound():
    shown, _ = world(10, 4)
    assert shown.sound.all()
    shares = shown.shares.copy()
    shares[0] = 0
    reward = shown.reward.copy()
    reward[1] = np.nan
    columns = {**vars(shown), "shares": shares, "reward": reward}
    assert Shown(**columns).sound.tolist() == [False, False, *[True] * 8]


def test_nothing_shown_is_nothing_known():
    nothing, whole = np.empty(0, dtype=int), np.empty((0, 1))
    shown = Shown(np.empty(0), nothing, whole, whole, nothing, nothing, nothing, np.empty(0))
    found = worth(shown, people(pa.array([], pa.string()), nothing, 0), 0.05)
    assert (found.people, found.low, found.high) == (0, -1.0, 1.0)


def test_places_that_nobody_looks_at_do_not_make_a_decision_worse():
    """The champion's 1 stands at the top of the list, 0 far down; both are worth the same to who looks."""
    chance, n = np.random.default_rng(5), 40_000
    situation = chance.integers(0, 4, n)
    arms = np.stack([(situation % 2), 1 - (situation % 2)], axis=1)
    by = chance.integers(0, 2, n)
    decision = arms[np.arange(n), by]
    place = np.clip(np.where(decision == 1, 1, 4) + chance.integers(-1, 2, n), 1, 5).astype(float)
    looks = 1 / place
    reward = (chance.random(n) < 0.6 * looks).astype(float)
    ours = np.ones(n, dtype=int)
    columns = (reward, decision, arms, np.full((n, 2), 0.5), ours, np.zeros(n, dtype=int), situation)
    whose = people(pa.nulls(n, pa.string()), np.arange(n), n)
    raw = worth(Shown(*columns, np.ones(n)), whose, 0.05)
    assert raw.low > 0.1
    alike = np.zeros(n, dtype=int)
    found = worth(Shown(*columns, looks_at(place, alike, reward)), whose, 0.05)
    assert found.gain == pytest.approx(0, abs=0.05)
    assert found.low < 0 < found.high


def test_a_person_counts_when_their_first_day_has_matured_and_by_their_first_rows():
    hour = int(timedelta(hours=1).total_seconds() * 1e6)
    subject = pa.array(["ann"] * 3 + ["bob"] * 2 + [None, None, None])
    at = np.array([0, hour, 2 * DAY, DAY, DAY + hour, 5, 5, 3 * DAY])
    found = people(subject, at, ripe=2 * DAY)
    assert found.rows.tolist() == [0, 1, 5, 6, 3, 4]
    assert found.person.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.mean(np.array([1.0, 0, 1, 1, 0, 0])).tolist() == [0.5, 1.0, 0.0]
    assert len(people(subject, at, ripe=DAY)) == 2


def test_one_subject_with_a_million_rows_is_one_person():
    n = 1_000_000
    subject = pa.array(["robot"]).take(pa.array(np.zeros(n, dtype=int)))
    found = people(subject, np.arange(n), ripe=3 * DAY)
    assert (len(found), len(found.rows)) == (1, MOST_OF_ONE)
    assert len(found.last(MOST_OF_ONE + 1)) == 1
