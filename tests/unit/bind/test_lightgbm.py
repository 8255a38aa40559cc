"""The exported trees take the same branches as LightGBM itself."""

import numpy as np
import onnxruntime as ort
import pytest

from volant.bind import boosting, lightgbm
from volant.bind.onnx import floor32, trees_model


def table(rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6)).astype(np.float32)
    x[:, 2] = rng.integers(0, 40, rows)
    x[:, 3] = rng.lognormal(20, 10, rows)
    x[rng.random(x.shape) < 0.05] = np.nan
    y = (np.nan_to_num(x[:, 0]) + (np.nan_to_num(x[:, 2]) % 5 > 2) > 0.4).astype(int) + (x[:, 1] > 1)
    return x, y


@pytest.mark.parametrize(("objective", "classes"), [("binary", 2), ("multiclass", 3), ("regression", 0)])
def test_margins_are_those_of_the_booster(objective, classes):
    x, y = table()
    target = np.minimum(y, 1) if classes == 2 else y
    params = {"objective": objective, "num_leaves": 15, "num_threads": 1, "seed": 0, "deterministic": True}
    params |= {"num_class": 3} if classes == 3 else {}
    part = lightgbm.Part(x[:2000], target[:2000], np.ones(2000))
    valid = lightgbm.Part(x[2000:], target[2000:], np.ones(1000))
    booster, rounds, *_ = lightgbm.train(
        params, part, valid, categorical=[2], rounds=60, patience=10, seconds=float("inf")
    )
    other, _ = table(seed=7)
    other[:5] = np.nan
    session = ort.InferenceSession(trees_model(lightgbm.trees_of(booster, rounds, 6)))
    margins = session.run(None, {"x": other})[0]
    expected = booster.predict(other, raw_score=True, num_iteration=rounds).reshape(len(other), -1)
    assert np.abs(margins - expected).max() < 1e-5


def test_a_booster_that_never_splits_is_a_constant():
    x = np.zeros((50, 2), np.float32)
    booster, rounds, *_ = lightgbm.train(
        {"objective": "regression", "num_threads": 1},
        lightgbm.Part(x, np.arange(50.0), np.ones(50)),
        None,
        categorical=[],
        rounds=3,
        patience=1,
        seconds=float("inf"),
    )
    session = ort.InferenceSession(trees_model(lightgbm.trees_of(booster, rounds, 2)))
    assert np.allclose(session.run(None, {"x": x})[0], 24.5)


@pytest.mark.parametrize("value", [0.1, -0.1, 1 / 3, 1e300, -1e300, 0.0, 16777217.0])
def test_floor32_is_the_float32_below(value):
    low = floor32(value)
    assert low <= value or low == float("-inf")
    assert np.float32(low) == low
    if abs(value) < 1e30:
        above = np.nextafter(np.float32(low), np.float32(np.inf))
        assert float(above) > value


def test_a_deadline_stops_boosting():
    x, y = table()
    part = lightgbm.Part(x, np.minimum(y, 1), np.ones(len(x)))
    _, rounds, *_ = lightgbm.train(
        {"objective": "binary", "num_threads": 1}, part, None, categorical=[], rounds=10**6, patience=1, seconds=0.5
    )
    assert 0 < rounds < 10**6


@pytest.mark.parametrize(("seconds", "rate"), [(float("inf"), 0.05), (1_000.0, 0.05), (201.0, 0.1), (10.0, 0.25)])
def test_the_learning_rate_rises_where_time_is_short(monkeypatch, seconds, rate):
    """A rate of 0.05 wants 400 rounds; a round takes a second here, and the rate is set after the sixth."""
    clock = iter(range(10_000))
    monkeypatch.setattr("volant.bind.boosting.time.monotonic", lambda: next(clock))
    deadline = boosting.Deadline(seconds)
    given = [(deadline.over(), deadline.rate(0.05, 3_000))[1] for _ in range(9)]
    raised = [each for each in given if each is not None]
    assert raised == ([] if rate == 0.05 else [pytest.approx(rate, rel=0.05)])
    if raised:
        assert given.index(raised[0]) == 5


def test_a_fit_in_no_time_says_the_rate_it_took():
    x, y = table()
    part = lightgbm.Part(x, np.minimum(y, 1), np.ones(len(x)))
    params = {"objective": "binary", "num_threads": 1, "learning_rate": 0.001}
    *_, rate = lightgbm.train(params, part, None, categorical=[], rounds=10**6, patience=1, seconds=0.3)
    assert 0.001 < rate <= 0.005
