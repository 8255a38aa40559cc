"""Calibration helps where probabilities are off, and does nothing where they are honest."""

import numpy as np
import pytest

from volant.core.records import Pipeline
from volant.runtime.load import Runner
from volant.search.calibrate import calibrate


def draw(n=6_000, seed=0):
    """True probabilities (n, 2) and labels drawn from them."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1.2, 2.0, n)
    return np.stack([1 - p, p], axis=1), (rng.random(n) < p).astype(int)


def loss(p, y):
    return float(-np.log(np.clip(p[np.arange(len(y)), y], 1e-12, 1)).mean())


def test_honest_probabilities_are_left_alone():
    p, y = draw()
    made = calibrate(p, y, np.ones(len(y)))
    assert made.params.get("value", 1.0) == 1.0
    assert np.allclose(made.apply(p), p, atol=1e-4)


def test_few_rows_make_nothing_surer_than_they_can_show():
    y = np.arange(20) % 2
    sure = np.where(y[:, None] == np.arange(2), 1.0 - 1e-12, 1e-12)
    out = calibrate(sure, y, np.ones(20)).apply(sure)
    assert 0.95 < out.max() < 0.995
    assert (out.argmax(axis=1) == y).all()


def test_too_sure_probabilities_get_a_temperature():
    p, y = draw()
    sure = p**3 / (p**3).sum(axis=1, keepdims=True)
    made = calibrate(sure, y, np.ones(len(y)))
    assert made.op in ("temperature", "curves")
    fresh, truth = draw(seed=1)
    sharp = fresh**3 / (fresh**3).sum(axis=1, keepdims=True)
    assert loss(made.apply(sharp), truth) < 0.9 * loss(sharp, truth)


def test_crooked_probabilities_get_a_curve_that_stays_between_zero_and_one():
    p, y = draw()
    bent = np.where(p[:, 1] < 0.5, p[:, 1] * 0.2, 0.95)
    made = calibrate(np.stack([1 - bent, bent], axis=1), y, np.ones(len(y)))
    assert made.op == "curves"
    out = made.apply(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))
    assert np.allclose(out.sum(axis=1), 1)
    assert ((out > 0) & (out < 1)).all()
    assert (np.diff(out[:, 1]) >= 0).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_what_was_fitted_is_what_the_runtime_does(classes):
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(classes), 3_000)
    y = np.array([rng.choice(classes, p=(q**0.5 / (q**0.5).sum())) for q in p])
    made = calibrate(p, y, np.ones(len(y)))
    step = made.step("p", "out")
    assert step is not None
    out = Runner(Pipeline((step,), {"out": "out"}), None).predict({"p": p})["out"]
    assert np.allclose(out, made.apply(p))
    assert np.allclose(out.sum(axis=1), 1)


def test_few_rows_or_one_class_are_no_reason_to_fail():
    p = np.array([[0.9, 0.1]])
    assert np.isfinite(calibrate(p, np.array([0]), np.ones(1)).apply(p)).all()
    assert calibrate(np.repeat(p, 50, 0), np.zeros(50, int), np.zeros(50)).apply(p).shape == (1, 2)
