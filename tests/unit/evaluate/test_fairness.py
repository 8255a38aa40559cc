"""Fairness: the definitions are fairlearn's, the bounds hold as often as they say, small groups are no verdict."""

import math

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Schema
from volant.evaluate.fairness import GAPS, Judging, audits, gap, groups_of, positive_class
from volant.evaluate.gaps import Rate, difference_limits, ratio_limits, share_limits
from volant.testing.rows import MemoryRows


def measured(group, y, a, metric, alpha, *, weights=None, keys=None):
    """The gap between the groups of rows with truths `y` and answers `a`."""
    n = len(y)
    units = {"y": np.asarray(y), "p": np.eye(2)[a], "a": np.asarray(a)}
    keys = np.arange(n) if keys is None else keys
    judged = Judging.of(units, keys, np.ones(n) if weights is None else weights, 1)
    masks = {f"g={name}": np.asarray(group) == name for name in np.unique(group)}
    return gap(judged.samples(masks), metric, "g", n, alpha)


def drawn(seed, n=3000, groups=4):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    y = (rng.random(n) < 0.3 + 0.05 * group).astype(int)
    a = np.where(rng.random(n) < 0.75 + 0.03 * group, y, 1 - y)
    return group, y, a, rng.random(n) + 0.1


@pytest.mark.parametrize("weighed", [False, True])
def test_the_definitions_are_those_of_fairlearn(weighed):
    metrics = pytest.importorskip("fairlearn.metrics", reason="needs fairlearn")
    sk = pytest.importorskip("sklearn.metrics")
    for seed in range(3):
        group, y, a, weights = drawn(seed)
        given = {"sensitive_features": group, **({"sample_weight": weights} if weighed else {})}
        frame = metrics.MetricFrame(
            metrics=sk.accuracy_score,
            y_true=y,
            y_pred=a,
            sensitive_features=group,
            sample_params={"sample_weight": weights} if weighed else None,
        )
        expected = {
            "demographic_parity_difference": metrics.demographic_parity_difference(y, a, **given),
            "demographic_parity_ratio": metrics.demographic_parity_ratio(y, a, **given),
            "equal_opportunity_difference": metrics.equal_opportunity_difference(y, a, **given),
            "equalized_odds_difference": metrics.equalized_odds_difference(y, a, **given),
            "accuracy_difference": frame.difference(),
        }
        for name, value in expected.items():
            found = measured(group, y, a, name, 0.025, weights=weights if weighed else None)
            assert found.value == pytest.approx(value, abs=1e-12), name
            assert found.low <= found.value <= found.high


def test_a_gap_that_is_not_there_is_rarely_surely_there():
    wrong = {name: 0 for name in ("demographic_parity_difference", "equalized_odds_difference")}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        group, y, a = rng.integers(0, 3, 150), rng.integers(0, 2, 150), (rng.random(150) < 0.2).astype(int)
        for name in wrong:
            wrong[name] += measured(group, y, a, name, 0.05).low > 0
    assert max(wrong.values()) <= 300 * 0.05 + 6


def test_the_upper_bound_covers_the_true_gap():
    covered = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        group = rng.integers(0, 2, 120)
        a = (rng.random(120) < np.where(group == 0, 0.1, 0.3)).astype(int)
        y = rng.integers(0, 2, 120)
        covered += measured(group, y, a, "demographic_parity_difference", 0.05).high >= 0.2
    assert covered >= 300 * 0.95 - 12


def test_ratio_bounds_cover_the_true_ratio():
    covered = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        shares = [(rng.random(200) < p).mean() for p in (0.2, 0.4)]
        a, b = (Rate(s, *share_limits(s, 200, 0.025), 200) for s in shares)
        low, high = ratio_limits(a, b)
        covered += low <= 0.5 <= high
    assert covered >= 400 * 0.95 - 12
    assert difference_limits(a, b)[0] < shares[0] - shares[1] < difference_limits(a, b)[1]


def test_rows_of_one_subject_count_as_one():
    group, y, a, _ = drawn(0, 400, 2)
    metric = "demographic_parity_difference"
    alone = measured(group, y, a, metric, 0.05)
    tenfold = [np.repeat(x, 10) for x in (group, y, a)]
    same = measured(*tenfold, metric, 0.05, keys=np.repeat(np.arange(400), 10))
    each = measured(*tenfold, metric, 0.05)
    assert same.high == pytest.approx(alone.high)
    assert each.high < alone.high


def test_groups_without_cases_are_named_and_not_compared():
    group = np.repeat([0, 1, 2], [100, 100, 60])
    y = np.tile([0, 1], 130)
    y[200:] = 0
    y[200:203] = 1  # three positives in the third group
    a = y.copy()
    a[200:203] = 0
    found = measured(group, y, a, "equal_opportunity_difference", 0.05)
    assert found.value == 0.0
    assert found.left_out == ("g=2",)
    only = measured(group[200:], y[200:], a[200:], "equal_opportunity_difference", 0.05)
    assert math.isnan(only.value)


SCHEMA = Schema((Column("sex", "category", "sensitive"), Column("race", "category"), Column("y", "category", "target")))


def people(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], n).astype(object)
    sex[:50] = None
    race = rng.choice(["a", "b", "c", "d"], n, p=[0.6, 0.38, 0.012, 0.008])
    return MemoryRows.of(SCHEMA, pa.table({"sex": pa.array(sex, pa.string()), "race": race, "y": ["no"] * n}))


def test_small_groups_stand_together_and_two_columns_are_crossed():
    rows = people()
    assert set(groups_of(rows, ["race"], 30)) == {"race=a", "race=b", "race is one of 2 rare values"}
    units = {"y": np.arange(2000) % 2, "p": np.eye(2)[np.arange(2000) % 3 % 2]}
    found = {one.column: one for one in audits(units, rows, ["sex", "race"], 1, 30)}
    assert list(found) == ["sex", "race", "sex × race"]
    assert {g.name: g.known for g in found["sex"].groups} == {"sex=F": True, "sex=M": True, "sex is missing": False}
    assert sum(g.n for g in found["sex × race"].groups) == 2000
    assert all(g.n >= 30 for g in found["sex × race"].groups if "small" not in g.name)
    for one in found.values():
        assert {g.metric for g in one.gaps} == {m for m in GAPS if "error" not in m and "mae" not in m}
        for group in one.groups:
            assert all(rate.low < rate.value < rate.high or rate.value in (0, 1) for rate in group.rates.values())


def test_numbers_are_compared_by_their_errors():
    rows = people()
    rng = np.random.default_rng(1)
    women = rows.table(["sex"]).column(0).to_numpy() == "F"
    units = {"y": rng.normal(size=2000), "f": np.zeros(2000)}
    units["f"] = units["y"] + np.where(women, 1.0, 0.0) + rng.normal(size=2000) * 0.1
    (found,) = audits(units, rows, ["sex"], None, 30)
    gaps = {g.metric: g for g in found.gaps}
    assert set(gaps) == {"mean_error_difference", "mae_difference"}
    assert gaps["mean_error_difference"].value == pytest.approx(1.0, abs=0.02)
    assert gaps["mean_error_difference"].low > 0.97
    assert (gaps["mean_error_difference"].most, gaps["mean_error_difference"].least) == ("sex=F", "sex=M")


def test_the_positive_class_is_the_second_of_two_or_the_named_one():
    assert positive_class(("no", "yes"), None) == 1
    assert positive_class(("no", "yes"), "no") == 0
    assert positive_class(("a", "b", "c"), "b") == 1
    assert positive_class(("a", "b", "c"), None) is None
