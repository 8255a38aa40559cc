"""The metrics agree with scikit-learn, weighted and with ties, over all resamples at once."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from volant.tasks.classify import Classify
from volant.tasks.regress import Regress

FEW = settings(max_examples=40, deadline=None)


def judged(seed, n, classes, grid):
    """Units with ties (`grid` steps), every class present, and weights that are whole numbers or fractions."""
    rng = np.random.default_rng(seed)
    p = rng.integers(1, grid + 1, size=(n, classes)).astype(float)
    p /= p.sum(axis=1, keepdims=True)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    weights = np.where(rng.random((3, n)) < 0.5, rng.integers(1, 4, (3, n)), rng.random((3, n)) + 0.01)
    return {"y": y.astype(np.int64), "p": p}, weights


def expected(name, units, weight):
    y, p, w = units["y"], units["p"], weight
    binary, guess = p.shape[1] == 2, p.argmax(axis=1)
    over = {"average": "binary" if binary else "macro", "zero_division": 0.0, "sample_weight": w}
    match name:
        case "log_loss":
            return reference.log_loss(y, p, sample_weight=w, labels=range(p.shape[1]))
        case "cost":
            return 1 - reference.accuracy_score(y, guess, sample_weight=w)
        case "accuracy":
            return reference.accuracy_score(y, guess, sample_weight=w)
        case "balanced_accuracy":
            return reference.balanced_accuracy_score(y, guess, sample_weight=w)
        case "roc_auc":
            scores = {"multi_class": "ovr", "average": "macro", "sample_weight": w}
            return (
                reference.roc_auc_score(y, p[:, 1], sample_weight=w)
                if binary
                else reference.roc_auc_score(y, p, **scores)
            )
        case "pr_auc":
            columns = [1] if binary else range(p.shape[1])
            return np.mean([reference.average_precision_score(y == c, p[:, c], sample_weight=w) for c in columns])
        case "f1":
            return reference.f1_score(y, guess, **over)
        case "precision":
            return reference.precision_score(y, guess, **over)
        case "recall":
            return reference.recall_score(y, guess, **over)
        case "brier":
            distance = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1)
            return np.average(distance * (0.5 if binary else 1.0), weights=w)
    raise AssertionError(name)


@FEW
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(25, 80),
    classes=st.integers(2, 4),
    grid=st.sampled_from([2, 5, 1000]),
    name=st.sampled_from([name for name in Classify.metrics if name != "ece"]),
)
def test_classify_agrees_with_scikit_learn(seed, n, classes, grid, name):
    units, weights = judged(seed, n, classes, grid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = [expected(name, units, weight) for weight in weights]
    found = Classify.metrics[name].of(units, weights)
    assert found.shape == (3,)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@FEW
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(5, 80), steps=st.sampled_from([3, 1000]))
def test_regress_agrees_with_scikit_learn(seed, n, steps):
    rng = np.random.default_rng(seed)
    y, f = rng.integers(1, steps + 1, n).astype(float), rng.integers(1, steps + 1, n).astype(float)
    y[0], y[1] = 1.0, 2.0
    weights = rng.random((3, n)) + 0.01
    low, high = f - rng.random(n), f + rng.random(n)
    units = {"y": y, "f": f, "low": low, "high": high, "promised": np.full(n, 0.8)}
    found = {name: metric.of(units, weights) for name, metric in Regress.metrics.items()}
    for b, w in enumerate(weights):
        assert found["rmse"][b] == pytest.approx(reference.root_mean_squared_error(y, f, sample_weight=w))
        assert found["mae"][b] == pytest.approx(reference.mean_absolute_error(y, f, sample_weight=w))
        assert found["r2"][b] == pytest.approx(reference.r2_score(y, f, sample_weight=w), abs=1e-9)
        assert found["mape"][b] == pytest.approx(reference.mean_absolute_percentage_error(y, f, sample_weight=w))
        ends = zip((low, high), (0.1, 0.9), strict=True)
        pinball = sum(reference.mean_pinball_loss(y, end, sample_weight=w, alpha=a) for end, a in ends)
        assert found["interval_score"][b] == pytest.approx(2 / 0.2 * pinball)
        assert found["coverage"][b] == pytest.approx(np.average((low <= y) & (y <= high), weights=w))


@FEW
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60))
def test_ranks_and_medians_agree_with_numpy_and_scipy_where_weights_count_rows(seed, n):
    from scipy.stats import spearmanr

    rng = np.random.default_rng(seed)
    y, f = rng.integers(0, 6, n).astype(float), rng.integers(0, 6, n).astype(float)
    y[:2], f[:2] = (0.0, 1.0), (2.0, 3.0)
    counts = rng.integers(0, 3, n)
    counts[:2] = 1
    units, weights = {"y": y, "f": f}, counts[None, :].astype(float)
    again = np.repeat(np.arange(n), counts)
    wanted = spearmanr(y[again], f[again]).statistic
    assert Regress.metrics["spearman"].of(units, weights)[0] == pytest.approx(wanted, abs=1e-9)
    wanted = np.median(np.abs(y - f)[again])
    assert Regress.metrics["median_ae"].of(units, weights)[0] == pytest.approx(wanted)


@FEW
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(20, 60), classes=st.integers(2, 20))
def test_weights_scale_freely_and_unknown_truths_do_not_count(seed, n, classes):
    units, weights = judged(seed, n + classes, classes, 7)
    extra = {"y": np.concatenate([units["y"], [-1, -1]]), "p": np.concatenate([units["p"], units["p"][:2]])}
    heavy = np.concatenate([weights, np.full((3, 2), 1e6)], axis=1)
    for metric in Classify.metrics.values():
        usual = metric.of(units, weights)
        np.testing.assert_allclose(metric.of(units, 7.5 * weights), usual, rtol=1e-9)
        np.testing.assert_allclose(metric.of(extra, heavy), usual, rtol=1e-9)


@FEW
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 50), spoilt=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_prediction_that_is_no_number_spoils_every_metric(seed, n, spoilt):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([1, 1], n)
    p[rng.integers(n), rng.integers(2)] = spoilt
    units = {"y": rng.integers(0, 2, n), "p": p}
    assert all(np.isnan(m.of(units, np.ones((2, n)))).all() for m in Classify.metrics.values())
    numbers = {"y": rng.normal(size=n), "f": np.append(rng.normal(size=n - 1), spoilt)}
    numbers |= {"low": numbers["f"], "high": numbers["f"], "promised": np.full(n, 0.9)}
    assert all(np.isnan(m.of(numbers, np.ones((2, n)))).all() for m in Regress.metrics.values())
