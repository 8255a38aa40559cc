"""What another policy would have earned."""

from __future__ import annotations

import numpy as np
import pytest

from volant.evidence.offpolicy import Logged, appeal, doubly_robust, effective, gain, ips, snips

WORTH = np.array([0.2, 0.5, 0.7])
LOGGING, BETTER, SAME = np.array([0.6, 0.3, 0.1]), np.array([0.05, 0.15, 0.8]), np.array([0.6, 0.3, 0.1])


def logs(n, target, seed=0):
    rng = np.random.default_rng(seed)
    action = rng.choice(3, n, p=LOGGING)
    reward = (rng.random(n) < WORTH[action]).astype(float)
    return Logged(reward, LOGGING[action], target[action]), action


def test_every_estimate_finds_what_the_other_policy_is_worth():
    logged, action = logs(20_000, BETTER)
    truth = float(BETTER @ WORTH)
    rough = np.array([0.3, 0.4, 0.6])  # a model that is wrong
    robust = doubly_robust(logged, rough[action], np.full(20_000, float(BETTER @ rough)))
    for found in (ips(logged), snips(logged), robust):
        assert found.value == pytest.approx(truth, abs=0.03)
        assert found.low <= truth <= found.high
    naive = float(logged.reward.mean())
    assert naive < truth - 0.2


def test_a_good_model_narrows_the_bounds():
    logged, action = logs(4_000, BETTER)
    robust = doubly_robust(logged, WORTH[action], np.full(4_000, float(BETTER @ WORTH)))
    plain = snips(logged)
    assert robust.high - robust.low < plain.high - plain.low


def test_the_same_policy_has_no_gain_and_a_better_one_has():
    same = logs(5_000, SAME)[0]
    assert gain(same, same).value == 0
    better = gain(logs(20_000, SAME)[0], logs(20_000, BETTER)[0])
    assert better.low < BETTER @ WORTH - SAME @ WORTH < better.high
    assert better.value > 0.15


def test_bounds_hold_over_many_repeats():
    missed = 0
    for seed in range(60):
        found = ips(logs(300, BETTER, seed)[0])
        missed += not found.low <= BETTER @ WORTH <= found.high
    assert missed <= 3


def test_few_decisions_that_count_are_said_to_be_few():
    logged = logs(1_000, np.array([0.0, 0.0, 1.0]))[0]
    assert 50 < effective(logged.weights) < 200


def test_places_and_items_are_told_apart():
    rng = np.random.default_rng(0)
    worth = np.linspace(0.1, 0.9, 12)
    rank = np.argsort(np.argsort(np.sin(np.arange(12) * 1.7)))  # the order in use has little to do with worth
    place = np.stack([np.argsort(np.argsort(rank + rng.normal(0, 3, 12))) for _ in range(4_000)]).reshape(-1)
    item = np.tile(np.arange(12), 4_000)
    acted = rng.random(len(item)) < worth[item] / (place + 1)
    good, looks = appeal(item, place, acted)
    assert np.corrcoef(np.argsort(np.argsort(good)), np.arange(12))[0, 1] > 0.97
    assert looks[1] == pytest.approx(0.5, abs=0.06)
    clicked = np.bincount(item, acted) / 4_000
    assert np.corrcoef(np.argsort(np.argsort(clicked)), np.arange(12))[0, 1] < 0.8


def test_nothing_logged_is_nothing_known():
    nothing = Logged(np.empty(0), np.empty(0), np.empty(0))
    assert (ips(nothing).n, snips(nothing).n, doubly_robust(nothing, np.empty(0), np.empty(0)).n) == (0, 0, 0)
