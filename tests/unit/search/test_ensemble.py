"""Greedy ensembles are never worse than their best member, and temperature mends overconfidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volant.search.calibrate import best_temperature
from volant.search.ensemble import greedy_weights
from volant.search.folds import fold_numbers, how_many, latest


def log_loss(truth):
    def loss(p):
        return float(-np.log(np.clip(p[np.arange(len(truth)), truth], 1e-9, 1)).mean())

    return loss


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_never_worse_than_the_best_member(seed, members):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 60)
    predictions = [rng.dirichlet(np.ones(3), 60) for _ in range(members)]
    weights = greedy_weights(predictions, log_loss(truth))
    assert sum(weights) == pytest.approx(1.0)
    mixed = sum(w * p for w, p in zip(weights, predictions, strict=True))
    assert log_loss(truth)(mixed) <= min(map(log_loss(truth), predictions)) + 1e-9


def test_members_that_err_apart_are_mixed():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    right = np.eye(2)[truth]
    noisy = [0.5 * right + 0.5 * rng.dirichlet(np.ones(2), 400) for _ in range(2)]
    assert min(greedy_weights(noisy, log_loss(truth))) > 0.2


def test_temperature_is_found():
    rng = np.random.default_rng(1)
    margins = rng.normal(size=(4000, 3)) * 1.5
    p = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(3, p=row) for row in p])
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert best_temperature(sharp, truth, np.ones(4000)) == pytest.approx(3.0, rel=0.15)
    assert best_temperature(p, truth, np.ones(4000)) == pytest.approx(1.0, abs=0.1)


def test_folds_are_even_keep_keys_together_and_spread_classes():
    keys = np.array([f"k{i // 2}" for i in range(1000)], dtype=object)
    classes = np.array([0 if (i // 2) % 10 else 1 for i in range(1000)])
    folds = fold_numbers(keys, classes, 5, seed=3)
    assert (folds[::2] == folds[1::2]).all()
    assert set(np.bincount(folds)) == {200}
    assert set(np.bincount(folds[classes == 1])) == {20}
    assert (fold_numbers(keys[::-1], classes[::-1], 5, seed=3)[::-1] == folds).all()


def test_how_many_folds():
    assert [how_many(n) for n in (100, 3_000, 10_000, 100_000)] == [8, 6, 4, 1]


def test_the_latest_rows_are_held_out():
    times = np.datetime64("2024-01-01") + np.arange(100) * np.timedelta64(1, "h")
    assert list(latest(times.astype("datetime64[us]"), 0.2)) == [1] * 80 + [0] * 20


def test_the_latest_rows_are_told_by_fractions_of_numbers_too():
    assert list(latest(np.arange(100) / 100, 0.2)) == [1] * 80 + [0] * 20
    assert list(latest(np.array([0.1, np.nan, 0.3, 0.2, 0.4]), 0.2)) == [1, 1, 1, 1, 0]


def test_rows_are_left_to_learn_from_where_most_share_one_time():
    days = np.array(["2026-01-01"] * 9 + ["2026-01-02"], dtype="datetime64[us]")
    assert list(latest(days, 0.2)) == [1] * 9 + [0]
    assert latest(days[:9], 0.2).all(), "no time is later than another"
