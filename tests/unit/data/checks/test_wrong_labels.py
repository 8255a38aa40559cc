"""Wrong labels, told from labels that are merely hard to predict."""

from __future__ import annotations

import numpy as np
import pytest

from volant.bind.cleanlab import suspicious_labels


def table(rows, seed=0):
    g = np.random.default_rng(seed)
    a, b = g.normal(size=rows), g.normal(size=rows)
    return {"a": a, "b": b, "c": g.normal(size=rows), "y": np.where(a + b > 0, "yes", "no").astype(object)}


def test_flipped_labels(checks, make, run):
    columns = table(2000)
    flipped = np.random.default_rng(1).choice(2000, 140, replace=False)
    columns["y"][flipped] = np.where(columns["y"][flipped] == "yes", "no", "yes")
    (found,) = run(checks["wrong_labels"], make(columns, first=50))
    assert found.column == "y"
    assert 90 <= found.count <= 200
    assert np.isin(np.array(found.rows) - 50, flipped).mean() >= 0.9


def test_three_classes(checks, make, run):
    g = np.random.default_rng(0)
    columns = table(2400)
    names = np.array(["low", "middle", "high"], dtype=object)
    truth = np.searchsorted([-0.8, 0.8], columns["a"] + columns["b"])
    wrong = g.random(2400) < 0.08
    columns["y"] = names[np.where(wrong, (truth + g.integers(1, 3, 2400)) % 3, truth)]
    (found,) = run(checks["wrong_labels"], make(columns))
    assert np.isin(found.rows, np.flatnonzero(wrong)).mean() >= 0.8


def test_sound_labels(checks, make, run):
    assert run(checks["wrong_labels"], make(table(2000))) == []


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_labels_that_nothing_predicts(checks, make, run, share):
    columns = table(2000)
    columns["y"] = np.where(np.random.default_rng(3).random(2000) < share, "yes", "no").astype(object)
    assert run(checks["wrong_labels"], make(columns)) == []


def test_labels_that_follow_a_probability(checks, make, run):
    columns = table(2000)
    likely = 1 / (1 + np.exp(-3 * columns["a"]))
    columns["y"] = np.where(np.random.default_rng(3).random(2000) < likely, "yes", "no").astype(object)
    assert run(checks["wrong_labels"], make(columns)) == []


def test_numbers_that_contradict_the_others(checks, make, run):
    columns = table(1000)
    columns["a"] = np.random.default_rng(5).uniform(-2, 2, 1000)
    columns["y"] = 5 * columns["a"] + 0.1 * columns["c"]
    high = np.flatnonzero(columns["y"] > 6)[:2]
    columns["y"][high] *= -1
    (found,) = run(checks["wrong_labels"], make(columns))
    assert set(found.rows) == set(high.tolist())


def test_confident_learning_ranks_the_worst_first():
    labels = np.repeat([0, 1], 100)
    probabilities = np.where(labels[:, None] == np.arange(2), 0.9, 0.1).astype(float)
    labels[[3, 150]] = [1, 0]
    probabilities[150] = [0.01, 0.99]
    assert suspicious_labels(labels, probabilities)[:2].tolist() == [150, 3]
