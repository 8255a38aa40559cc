"""Inputs that are the target, or tell it."""

from __future__ import annotations

import numpy as np
import pytest

from volant.data.checks.association import class_outcome, correlation_ratio, cramers_v, number_outcome, skill, to_ranks


@pytest.mark.parametrize(
    ("task", "copy"),
    [
        ("classify", lambda y: y),
        ("classify", lambda y: np.where(y == "yes", "Gone", "Here").astype(object)),
        ("classify", lambda y: (y == "yes").astype(float)),
        ("classify", lambda y: y == "no"),
        ("regress", lambda y: y),
        ("regress", lambda y: 1000 - 3 * y),
        ("regress", lambda y: np.exp(y / 2)),
    ],
)
def test_copies_of_the_target(checks, make, run, clean, task, copy):
    columns = clean(task=task)
    data = make({"copy": copy(columns["y"]), **columns})
    (found,) = run(checks["target_copy"], data)
    assert (found.severity, found.column) == ("stop", "copy")
    assert run(checks["leakage"], data) == []


def test_columns_that_copy_each_other_are_no_leak(checks, make, run, clean):
    columns = clean()
    data = make({"other": columns["color"], "again": -columns["z"], **columns})
    assert [*run(checks["target_copy"], data), *run(checks["leakage"], data)] == []


def test_identifiers_are_no_copies(checks, make, run, clean):
    for task in ("classify", "regress"):
        columns = {"id": np.random.default_rng(0).permutation(600).astype(float), **clean(task=task)}
        assert run(checks["target_copy"], make(columns)) == []


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_a_perfect_leak_stops(checks, make, run, clean, task):
    columns = clean(2000, task=task)
    y = (columns["y"] == "yes") if task == "classify" else columns["y"]
    columns["paid"] = y + 0.001 * np.random.default_rng(0).random(2000)
    (found,) = run(checks["leakage"], make(columns))
    assert (found.severity, found.column) == ("stop", "paid")


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_an_almost_perfect_leak_warns(checks, make, run, clean, task):
    g = np.random.default_rng(0)
    columns = clean(2000, task=task)
    y = (columns["y"] == "yes").astype(float) if task == "classify" else columns["y"]
    wrong = g.choice(2000, 8, replace=False)
    columns["paid"] = y + (0.03 * g.normal(size=2000) * y.std() if task == "regress" else 0.0)
    columns["paid"][wrong] = 1 - columns["paid"][wrong]
    (found,) = run(checks["leakage"], make(columns))
    assert (found.severity, found.column) == ("warn", "paid")


def test_leak_by_being_filled_in_at_all(checks, make, run, clean):
    columns = clean(1000)
    day = np.datetime64("2024-01-01", "us") + np.arange(1000).astype("timedelta64[h]")
    columns["cancelled"] = np.where(columns["y"] == "yes", day, np.datetime64("NaT"))
    (found,) = run(checks["leakage"], make(columns))
    assert (found.severity, found.column) == ("stop", "cancelled")


def test_a_strong_honest_input_is_no_leak(checks, make, run, clean):
    g = np.random.default_rng(3)
    columns = clean(1000)
    columns["strong"] = (columns["y"] == "yes") + 0.25 * g.normal(size=1000)
    assert run(checks["leakage"], make(columns)) == []


def test_gaps_that_tell(checks, make, run, clean):
    g = np.random.default_rng(0)
    for task in ("classify", "regress"):
        columns = clean(800, task=task)
        high = (columns["y"] == "yes") if task == "classify" else columns["y"] > np.median(columns["y"])
        columns["income"] = np.where(g.random(800) < np.where(high, 0.4, 0.1), np.nan, g.normal(size=800))
        columns["bonus"] = np.where(np.isnan(columns["income"]), np.nan, g.normal(size=800))
        (found,) = run(checks["missing_tells"], make(columns))
        assert (found.column, found.count) == ("income", int(np.isnan(columns["income"]).sum()))
        assert "1 other column" in found.what


def test_skill_of_one_column():
    g = np.random.default_rng(0)
    x = g.normal(size=3000)
    noise = g.normal(size=3000)
    assert skill(x, number_outcome(np.exp(x)), nominal=False).score > 0.9999
    assert skill(x, number_outcome(x**2), nominal=False).score > 0.99
    assert skill(x, number_outcome(noise), nominal=False).score < 0.0
    assert skill(x, class_outcome((x > 0.3).astype(int)), nominal=False).wrong <= 2
    assert skill(x, class_outcome((noise > 0).astype(int)), nominal=False).score < 0.1
    names = g.integers(0, 5, 3000).astype(float)
    assert skill(names, class_outcome((names == 2).astype(int)), nominal=True).score == 1.0
    assert skill(np.arange(3000.0), class_outcome((noise > 0).astype(int)), nominal=True).score <= 0.0


def test_association_has_no_bias():
    g = np.random.default_rng(0)
    independent = g.multinomial(500, np.full(40, 1 / 40)).reshape(20, 2)
    assert cramers_v(independent)[0] < 0.2
    assert cramers_v(np.array([[50, 0], [0, 50]]))[0] == pytest.approx(1.0, abs=0.02)
    groups = g.integers(0, 20, 500)
    assert correlation_ratio(groups, g.normal(size=500))[0] < 0.05
    assert correlation_ratio(groups, groups + 0.01 * g.normal(size=500))[0] > 0.99
    assert to_ranks(np.array([3.0, 1.0, 3.0, 9.0])).tolist() == [0.5, 0.0, 0.5, 1.0]
