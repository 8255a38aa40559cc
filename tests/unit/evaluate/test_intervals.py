"""Intervals hold what they promise, repeat, and respect keys, weights and bounds."""

import numpy as np
import pytest

from volant.evaluate.intervals import score
from volant.evaluate.sampling import units_by
from volant.tasks.classify import Classify
from volant.tasks.regress import Regress

CLASSIFY, REGRESS = Classify(), Regress()


def judged(n, seed=0, classes=2):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), n)
    y = (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    return {"y": y.astype(np.int64), "p": p}


def by_name(scores):
    return {s.metric: s for s in scores}


def test_every_metric_has_an_interval_around_its_value():
    for task, units in ((CLASSIFY, judged(300)), (CLASSIFY, judged(300, classes=5))):
        for one in score(units, task):
            assert one.low < one.value < one.high, one
            assert one.n == 300
            low, high = task.metrics[one.metric].bounds
            assert low <= one.low
            assert one.high <= high


def test_the_same_seed_gives_the_same_interval_whatever_else_is_asked():
    units = judged(200)
    alone = score(units, CLASSIFY, metrics=["roc_auc"], seed=3)
    assert alone == score(units, CLASSIFY, metrics=["roc_auc"], seed=3)
    assert alone != score(units, CLASSIFY, metrics=["roc_auc"], seed=4)
    assert (
        by_name(score(units, CLASSIFY, seed=3))["log_loss"] == score(units, CLASSIFY, metrics=["log_loss"], seed=3)[0]
    )


@pytest.mark.parametrize(("metric", "truth"), [("accuracy", 0.75), ("brier", 1 / 6)])
def test_intervals_hold_the_truth_as_often_as_they_say(metric, truth):
    held = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        p = rng.random(40)
        y = (rng.random(40) < p).astype(np.int64)
        one = score({"y": y, "p": np.stack([1 - p, p], axis=1)}, CLASSIFY, metrics=[metric], seed=seed, draws=300)[0]
        held += one.low <= truth <= one.high
    assert held >= 137  # 95 % of 150, less 1.9 standard deviations


def test_rows_of_one_key_count_once():
    units = judged(60, seed=1)
    again = {name: np.repeat(values, 10, axis=0) for name, values in units.items()}
    keys = np.repeat(np.arange(60), 10).astype(str).astype(object)
    for metric in ("log_loss", "roc_auc"):
        alone = score(units, CLASSIFY, metrics=[metric])[0]
        together = score(again, CLASSIFY, metrics=[metric], keys=keys)[0]
        naive = score(again, CLASSIFY, metrics=[metric])[0]
        assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.15)
        assert naive.high - naive.low < 0.5 * (alone.high - alone.low)


def test_weights_count():
    units = judged(100, seed=2)
    weights = np.where(np.arange(100) < 50, 1.0, 0.0)
    half = {name: values[:50] for name, values in units.items()}
    for metric in ("accuracy", "pr_auc"):
        weighed = score({**units, "weight": weights}, CLASSIFY, metrics=[metric])[0]
        assert weighed.value == pytest.approx(score(half, CLASSIFY, metrics=[metric])[0].value)


def test_a_perfect_score_on_few_rows_is_not_certain():
    y = np.arange(40) % 2
    found = by_name(score({"y": y, "p": np.eye(2)[y]}, CLASSIFY))
    assert found["accuracy"].value == 1.0
    assert found["accuracy"].low == pytest.approx(0.025 ** (1 / 40))
    assert found["roc_auc"].low < 0.95
    assert found["brier"].high > 0.05


def test_one_wrong_answer_has_the_exact_binomial_interval():
    from scipy.stats import beta

    y = np.zeros(50, dtype=np.int64)
    p = np.tile([0.9, 0.1], (50, 1))
    p[0] = [0.1, 0.9]
    one = score({"y": y, "p": p}, CLASSIFY, metrics=["accuracy"])[0]
    assert one.low == pytest.approx(1 - beta.ppf(0.975, 2, 49), abs=0.02)


def test_many_rows_take_the_jackknife_and_agree_with_the_bootstrap(monkeypatch):
    units = judged(2000, classes=3)
    usual = by_name(score(units, CLASSIFY))
    monkeypatch.setattr("volant.evaluate.intervals.BUDGET", 1000)
    fast = by_name(score(units, CLASSIFY))
    for name in ("roc_auc", "f1", "balanced_accuracy"):
        assert fast[name].value == usual[name].value
        assert fast[name].high - fast[name].low == pytest.approx(usual[name].high - usual[name].low, rel=0.35)


def test_many_keys_are_resampled_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.normal(size=3000)
    units = {"y": y, "f": y + rng.normal(size=3000)}
    usual = score(units, REGRESS, metrics=["rmse"])[0]
    monkeypatch.setattr("volant.evaluate.sampling.MOST_BLOCKS", 200)
    blocks = score(units, REGRESS, metrics=["rmse"])[0]
    assert blocks.high - blocks.low == pytest.approx(usual.high - usual.low, rel=0.25)


def test_what_cannot_be_known_is_not_a_number():
    nothing = score({"y": np.empty(0, np.int64), "p": np.empty((0, 2))}, CLASSIFY)
    assert all(np.isnan(s.value) and s.n == 0 for s in nothing)
    one = score({"y": np.array([1.0]), "f": np.array([3.0])}, REGRESS, metrics=["mae"])[0]
    assert one.value == 2.0
    assert np.isnan(one.low)
    spoilt = score({"y": np.array([0, 1]), "p": np.array([[np.nan, 1.0], [0.5, 0.5]])}, CLASSIFY)
    assert all(np.isnan(s.value) and np.isnan(s.low) for s in spoilt)


def test_unknown_truths_are_left_out_with_their_keys():
    units = judged(50)
    more = {"y": np.append(units["y"], -1), "p": np.vstack([units["p"], [[0.5, 0.5]]])}
    keys = np.array([f"k{i}" for i in range(51)], dtype=object)
    assert score(more, CLASSIFY, keys=keys) == score(units, CLASSIFY, keys=keys[:50])


def test_keys_are_numbered_in_the_order_they_come():
    units = units_by(np.array(["b", "a", "b"], dtype=object), None, 3)
    assert units.place.tolist() == [0, 1, 0]
    assert units.size == 2
    assert units.effective() == pytest.approx(9 / 5)
