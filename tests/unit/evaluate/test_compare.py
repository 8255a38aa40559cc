"""A comparison is paired, oriented and honest: its lower bound is wrong no more often than it says."""

import numpy as np
import pytest

from volant.errors import Failure
from volant.evaluate.compare import compare
from volant.tasks.classify import Classify
from volant.tasks.metrics import Metric
from volant.tasks.regress import Regress

CLASSIFY, REGRESS = Classify(), Regress()
ALPHA = 0.05
REPEATS = 200
MOST = 19
"""Of 200 tries at level 0.05, more than 19 errors have a probability below 0.3 %."""


def two(p):
    return np.stack([1 - p, p], axis=1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def promoted(draw, n, task=CLASSIFY, metric="log_loss", alpha=ALPHA, repeats=REPEATS, copies=1):
    """How often a challenger that `draw(rng, n)` gives looks surely better; the first row comes `copies` times."""
    found = 0
    keys = np.repeat(np.arange(n), [copies] + [1] * (n - 1))
    for seed in range(repeats):
        sides = draw(np.random.default_rng(seed), n)
        champion, challenger = ({k: v[keys] for k, v in side.items()} for side in sides)
        one = compare(champion, challenger, task=task, metric=metric, alpha=alpha, seed=seed, keys=keys)[0]
        found += one.low > 0
    return found


def noisy(rng, n):
    """Two models that are equally wrong in different ways."""
    z = rng.normal(0, 2, n)
    y = (rng.random(n) < sigmoid(z)).astype(np.int64)
    return tuple({"y": y, "p": two(sigmoid(z + rng.normal(0, 0.5, n)))} for _ in range(2))


def rash(rng, n):
    """A challenger that is right 99 times in 100 and so sure that the hundredth undoes its gain."""
    y = (rng.random(n) < 0.01).astype(np.int64)
    # -(0.01 ln q + 0.99 ln(1 - q)) is the same for 0.05 and for this q.
    return {"y": y, "p": two(np.full(n, 0.05))}, {"y": y, "p": two(np.full(n, 3.2e-4))}


def sharp(rng, n):
    """A champion that is too careful against a challenger that is too sure, of equal expected loss."""
    z = rng.normal(0, 2, n)
    y = (rng.random(n) < sigmoid(z)).astype(np.int64)
    return {"y": y, "p": two(sigmoid(0.6 * z))}, {"y": y, "p": two(sigmoid(1.5135 * z))}


def heavy(rng, n):
    """Two regressors with heavy-tailed errors of equal size."""
    y = rng.normal(size=n)
    return tuple({"y": y, "f": y + rng.standard_t(3, n)} for _ in range(2))


def test_the_rash_challenger_is_no_better():
    def loss(q):
        return -(0.01 * np.log(q) + 0.99 * np.log1p(-q))

    assert loss(3.2e-4) >= loss(0.05) - 1e-3


@pytest.mark.parametrize("n", [30, 120])
@pytest.mark.parametrize("draw", [noisy, rash, sharp])
def test_equal_models_are_rarely_promoted(draw, n):
    assert promoted(draw, n) <= MOST


def test_a_plain_bound_would_promote_the_rash_challenger_most_of_the_time():
    """What the probabilities of both models add, shown by taking them away."""

    class Unimaginative(Classify):
        imagine = None

    assert promoted(rash, 30, task=Unimaginative(), repeats=40) > 20


@pytest.mark.parametrize("copies", [13, 106])
@pytest.mark.parametrize("draw", [noisy, rash, sharp])
def test_equal_models_are_rarely_promoted_though_many_rows_are_copies_of_one(draw, copies):
    assert promoted(draw, 120, copies=copies) <= MOST


def test_a_clear_gain_is_promoted_though_half_of_the_rows_are_copies_of_one():
    """Where the heavy row itself went wrong, or its truth is uncertain, nothing can be promoted."""

    def draw(rng, n):
        z = rng.normal(0, 6, n)
        y = (rng.random(n) < sigmoid(z)).astype(np.int64)
        return {"y": y, "p": two(np.full(n, 0.5))}, {"y": y, "p": two(sigmoid(z))}

    assert promoted(draw, 500, repeats=40, copies=443) >= 28


def test_equal_regressors_are_rarely_promoted_though_errors_are_heavy_tailed():
    assert promoted(heavy, 30, REGRESS, "rmse") <= MOST


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
def test_equal_models_are_rarely_promoted_by_other_metrics(metric):
    assert promoted(noisy, 60, metric=metric) <= MOST


def test_a_true_gain_is_promoted():
    def draw(rng, n):
        z = rng.normal(0, 2, n)
        y = (rng.random(n) < sigmoid(z)).astype(np.int64)
        return {"y": y, "p": two(sigmoid(z + rng.normal(0, 1.5, n)))}, {"y": y, "p": two(sigmoid(z))}

    assert promoted(draw, 600, repeats=40) >= 38


def regression(n=200, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    f, g = y + rng.normal(0, 1, n), y + rng.normal(0, 0.5, n)
    promised = np.full(n, 0.9)
    return tuple({"y": y, "f": v, "low": v - 1, "high": v + 1, "promised": promised} for v in (f, g))


@pytest.mark.parametrize(("task", "units"), [(CLASSIFY, noisy(np.random.default_rng(1), 200)), (REGRESS, regression())])
def test_values_are_the_metrics_and_differences_are_oriented(task, units):
    for name, metric in task.metrics.items():
        one = compare(*units, task=task, metric=name)[0]
        values = [metric.of(side, np.ones((1, 200)))[0] for side in units]
        assert (one.champion, one.challenger) == pytest.approx(tuple(values))
        gain = (values[1] - values[0]) * (1 if metric.greater_is_better else -1)
        assert one.difference == pytest.approx(gain / values[0] if metric.scale == "relative" else gain)
        assert one.low <= one.difference <= one.high
        assert (one.metric, one.slice, one.n, one.scale) == (name, "", 200, metric.scale)
        assert compare(units[1], units[0], task=task, metric=name)[0].difference * gain <= 0


def test_slices_stand_alone():
    champion, challenger = regression()
    mask = np.arange(200) < 80
    found = compare(
        champion, challenger, task=REGRESS, metric="rmse", slices={"low": mask, "none": mask & False}, seed=5
    )
    assert [one.slice for one in found] == ["", "low", "none"]
    part = compare(*[{k: v[mask] for k, v in u.items()} for u in (champion, challenger)], task=REGRESS, metric="rmse")
    assert found[1].difference == pytest.approx(part[0].difference)
    assert found[1] == compare(champion, challenger, task=REGRESS, metric="rmse", slices={"low": mask}, seed=5)[1]
    assert found[2].n == 0
    assert np.isnan(found[2].low)


def test_keys_widen_and_weights_count():
    champion, challenger = regression(60)
    often = [{k: np.repeat(v, 10) for k, v in u.items()} for u in (champion, challenger)]
    keys = np.repeat(np.arange(60), 10).astype(str)
    alone = compare(champion, challenger, task=REGRESS, metric="rmse")[0]
    naive = compare(*often, task=REGRESS, metric="rmse")[0]
    keyed = compare(*often, task=REGRESS, metric="rmse", keys=keys)[0]
    assert keyed.low == pytest.approx(alone.low, abs=0.05)
    assert naive.low > keyed.low
    counts = np.arange(60) % 3
    repeated = [{k: np.repeat(v, counts) for k, v in u.items()} for u in (champion, challenger)]
    weighed = compare(champion, challenger, task=REGRESS, metric="rmse", weights=counts.astype(float))[0]
    assert weighed.difference == pytest.approx(compare(*repeated, task=REGRESS, metric="rmse")[0].difference)


def test_it_is_told_how_much_lies_on_rows_of_one_key():
    champion, challenger = regression(60)
    keys = np.arange(len(champion["y"]))
    keys[: len(keys) // 4] = 0
    one = compare(champion, challenger, task=REGRESS, metric="rmse", keys=keys)[0]
    assert one.heaviest == pytest.approx(0.25, abs=0.01)
    assert compare(champion, challenger, task=REGRESS, metric="rmse")[0].heaviest < 0.05


def test_other_rows_cannot_be_compared():
    champion, challenger = regression()
    with pytest.raises(Failure, match="same rows"):
        compare(champion, {**challenger, "y": challenger["y"][::-1]}, task=REGRESS, metric="rmse")
    with pytest.raises(Failure, match="same rows"):
        compare(champion, {k: v[:-1] for k, v in challenger.items()}, task=REGRESS, metric="rmse")


@pytest.mark.parametrize("metric", ["rmse", "spearman"])
def test_a_prediction_that_is_no_number_gives_no_bound(metric):
    champion, challenger = regression()
    spoilt = {**challenger, "f": np.append(challenger["f"][:-1], np.nan)}
    for one in compare(champion, spoilt, task=REGRESS, metric=metric, slices={"early": np.arange(200) < 90})[:1]:
        assert np.isnan(one.low)
        assert np.isnan(one.challenger)
    assert np.isnan(compare({}, {}, task=REGRESS, metric=metric)[0].low)


def test_rows_without_a_known_truth_do_not_count():
    champion, challenger = noisy(np.random.default_rng(0), 100)
    more = [{"y": np.append(u["y"], -1), "p": np.vstack([u["p"], [[1.0, 0.0]]])} for u in (champion, challenger)]
    assert compare(*more, task=CLASSIFY, metric="log_loss") == compare(
        champion, challenger, task=CLASSIFY, metric="log_loss"
    )


def test_against_a_perfect_champion_nothing_is_gained():
    y = np.arange(50.0)
    perfect = {"y": y, "f": y}
    even = compare(perfect, perfect, task=REGRESS, metric="rmse")[0]
    assert (even.difference, even.low) == (0.0, 0.0)
    assert not np.isfinite(compare(perfect, {"y": y, "f": y + 1}, task=REGRESS, metric="rmse")[0].low)


def test_a_metric_of_a_plugin_needs_nothing_but_its_values():
    def hits(units, weights):
        return weights @ (np.abs(units["y"] - units["f"]) < 1) / weights.sum(axis=1)

    task = Regress()
    task.metrics = {"hits": Metric("hits", True, hits, "absolute", "Share within one.")}
    one = compare(*regression(), task=task, metric="hits")[0]
    assert 0 < one.low < one.difference < one.high


def test_a_class_that_is_new_does_not_hide_a_gain_on_those_that_both_know():
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 600)
    y = (rng.random(600) < sigmoid(z)).astype(np.int64)
    before, after = two(sigmoid(0.3 * z)), two(sigmoid(z)) * 0.98
    narrow = {"y": y, "p": np.hstack([before, np.zeros((600, 1))])}
    wide = {"y": y, "p": np.hstack([after, np.full((600, 1), 0.02)])}
    assert compare(narrow, wide, task=CLASSIFY, metric="log_loss")[0].low > 0
