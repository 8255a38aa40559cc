"""Weights for training alone: probabilities come out right again, groups and classes become independent."""

import numpy as np
import pyarrow as pa
import pytest

from volant.core.plugins import load
from volant.core.protocols import RunContext
from volant.core.records import Column, Schema
from volant.search.fits import Configuration, Fits
from volant.search.views import WithWeights
from volant.search.weighing import by_class, independent, together
from volant.testing.rows import MemoryRows

SCHEMA = Schema((Column("x", "number"), Column("y", "category", "target")))


def rare(n=6_000, seed=0):
    """One in twenty-five is positive; `x` tells which, somewhat."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.04
    return MemoryRows.of(SCHEMA, pa.table({"x": rng.normal(y * 2.0), "y": np.where(y, "yes", "no")}))


def test_balanced_classes_weigh_the_same_and_a_row_counts_one_on_average():
    y = np.array([0] * 90 + [1] * 9 + [2] * 1)
    weights = np.random.default_rng(0).random(100) + 0.1
    found = by_class(y, weights, ("a", "b", "c"), "balanced")
    sums = np.bincount(y, weights * found.factors)
    assert np.allclose(sums, sums[0])
    assert (weights * found.factors).sum() == pytest.approx(weights.sum())
    assert np.allclose(np.array(found.correction)[y] * found.factors, 1.0)


def test_a_table_of_weights_keeps_its_proportions():
    y = np.array([0] * 90 + [1] * 10)
    found = by_class(y, np.ones(100), ("no", "yes"), {"yes": 5.0})
    assert found.factors[-1] / found.factors[0] == pytest.approx(5.0)
    assert found.factors.mean() == pytest.approx(1.0)


def test_rows_without_a_known_class_and_classes_without_rows_change_nothing():
    found = by_class(np.array([0, 1, -1]), np.ones(3), ("a", "b", "c"), "balanced")
    assert np.isfinite(found.factors).all()
    assert np.isfinite(found.correction).all()
    assert found.factors[2] == 1.0


@pytest.mark.parametrize("name", ["linear", "boosted_trees", "prior"])
def test_probabilities_of_balanced_training_are_of_the_true_frequencies(tmp_path, name):
    task, train, new = load("tasks", "classify"), rare(), rare(seed=1)
    problem = task.problem(train, "y", "log_loss")
    truth = task.encode(train, problem)
    weighing = by_class(truth, train.weights(), problem.classes, "balanced")
    learner = load("learners", name)
    configuration = Configuration(learner, learner.portfolio(problem)[0])
    losses, means = [], []
    for place, rows, correction in (
        ("usual", train, ()),
        ("balanced", WithWeights(train, weighing.factors), weighing.correction),
        ("raw", WithWeights(train, weighing.factors), ()),
    ):
        fits = Fits(tmp_path / place, problem, task.output, correction)
        fit = fits.make("one", configuration, rows, RunContext(seed=0))
        p = fit.predict(new, task.output, 1)
        means.append(p[:, 1].mean())
        units = task.units(task.encode(new, problem), {"probability": p}, problem)
        losses.append(task.metrics["log_loss"].of(units, np.ones((1, len(new))))[0])
    assert means[1] == pytest.approx(0.04, abs=0.012)
    assert means[2] > 2 * means[1]
    assert losses[1] < losses[0] * 1.15
    assert losses[2] > losses[1] * 1.2


def test_reweighing_makes_group_and_class_independent_and_keeps_their_shares():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 2_000)
    y = (rng.random(2_000) < np.array([0.2, 0.5, 0.8])[group]).astype(int)
    weights = rng.random(2_000)
    found = independent(group, y, weights)
    new = weights * found.factors
    rates = [np.average(y[group == g], weights=new[group == g]) for g in range(3)]
    assert np.allclose(rates, np.average(y, weights=weights))
    assert np.allclose(np.bincount(group, new), np.bincount(group, weights))
    assert np.allclose(np.bincount(y, new), np.bincount(y, weights))
    assert found.correction == ()


def test_rows_of_no_known_group_keep_their_weight():
    found = independent(np.array([-1, 0, 0, 1, 1]), np.array([1, 0, 1, 1, 1]), np.ones(5))
    assert found.factors[0] == 1.0


def test_both_weights_at_once():
    a, b = (
        by_class(np.array([0, 1]), np.ones(2), ("a", "b"), {"a": 3.0}),
        independent(*np.zeros((2, 2), int), np.ones(2)),
    )
    assert together(a, None) is a
    assert together(None, b) is b
    both = together(a, b)
    assert both.correction == a.correction
    assert np.allclose(both.factors, a.factors * b.factors)


def test_views_of_weighed_rows_keep_their_factors():
    rows = rare(100)
    view = WithWeights(rows, np.arange(100.0)).take(np.array([5, 7, 50])).take(np.array([2, 0]))
    assert view.weights().tolist() == [50.0, 5.0]
    train = WithWeights(rows, np.arange(100.0)).part("train")
    assert np.array_equal(train.weights(), train.numbers().astype(float))
