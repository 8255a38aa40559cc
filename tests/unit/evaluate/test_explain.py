"""Explanations add up exactly, agree with theory, and importance finds what matters."""

import time

import numpy as np
import pytest

from volant.core.records import Column, Problem
from volant.evaluate.explain import explain
from volant.evaluate.importance import importance
from volant.tasks.classify import Classify
from volant.tasks.regress import Regress

COLUMNS = ("a", "b", "c")


def batch(n, seed=0):
    rng = np.random.default_rng(seed)
    return {"a": rng.normal(size=n), "b": rng.choice(["x", "y", None], n).astype(object), "c": rng.normal(size=n)}


def weird(rows):
    worth = np.array([{"x": 1.0, "y": -2.0, None: 0.5}[v] for v in rows["b"]])
    return rows["a"] * worth + np.sin(rows["c"]) + rows["a"] * rows["c"]


def linear(rows):
    return 3 * rows["a"] - 2 * rows["c"] + 7


@pytest.mark.parametrize("samples", [1, 2, 7, 48])
def test_base_and_contributions_add_up_to_the_output(samples):
    one, background = batch(1, 1), batch(40)
    base, parts, output = explain(weird, one, background, columns=COLUMNS, samples=samples, seed=3)
    assert base + parts.sum() == pytest.approx(output, abs=1e-12)
    assert output == weird(one)[0]
    assert parts.shape == (3,)


def test_a_linear_model_has_the_contributions_of_theory():
    one, background = batch(1, 1), batch(32)
    base, parts, _ = explain(linear, one, background, columns=COLUMNS, samples=64)
    assert base == pytest.approx(linear(background).mean())
    wanted = [3 * (one["a"][0] - background["a"].mean()), 0.0, -2 * (one["c"][0] - background["c"].mean())]
    assert parts == pytest.approx(wanted)


def test_equal_columns_share_and_the_seed_repeats():
    def product(rows):
        return rows["a"] * rows["c"]

    one = {"a": np.array([2.0]), "b": np.array(["x"], dtype=object), "c": np.array([2.0])}
    background = {"a": np.zeros(4), "b": np.array(["x"] * 4, dtype=object), "c": np.zeros(4)}
    base, parts, _ = explain(product, one, background, columns=COLUMNS, samples=10, seed=1)
    assert base == 0.0
    assert parts == pytest.approx([2.0, 0.0, 2.0])
    again = explain(product, one, background, columns=COLUMNS, samples=10, seed=1)
    assert np.array_equal(again[1], parts)


def test_a_column_is_either_the_rows_or_the_backgrounds():
    seen = set()

    def watch(rows):
        seen.update(rows["b"])
        return np.zeros(len(rows["b"]))

    one = {"a": np.zeros(1), "b": np.array(["mine"], dtype=object), "c": np.zeros(1)}
    background = {"a": np.zeros(3), "b": np.array(["theirs"] * 3, dtype=object), "c": np.zeros(3)}
    explain(watch, one, background, columns=COLUMNS, samples=4)
    assert seen == {"mine", "theirs"}


def test_importance_finds_what_matters_and_clears_what_does_not(rows, problem, model):
    task = Classify()
    found = importance(
        model, rows.batch([c.name for c in problem.inputs]), task.encode(rows, problem), task=task, problem=problem
    )
    assert found[0].column == "age"
    assert found[0].low > 0.1
    by_name = {one.column: one for one in found}
    assert by_name["noise"].low <= 0 <= by_name["noise"].high
    assert by_name["city"].loss == pytest.approx(0, abs=1e-12)
    assert all(one.repeats == 5 for one in found)


def test_importance_is_oriented_for_metrics_that_should_be_high():
    problem = Problem("regress", "y", (Column("a", "number"), Column("c", "number")), 300, (), "r2")
    rows = {name: batch(300)[name] for name in ("a", "c")}
    found = importance(
        lambda given: {"value": linear(given)}, rows, linear(rows), task=Regress(), problem=problem, seed=1
    )
    assert [one.column for one in found] == ["a", "c"]
    assert found[1].low > 0


def test_importance_stops_in_time():
    problem = Problem("regress", "y", tuple(Column(f"x{i}", "number") for i in range(50)), 100, (), "rmse")
    rows = {f"x{i}": np.arange(100.0) for i in range(50)}

    def slow(given):
        time.sleep(0.02)
        return {"value": given["x0"]}

    started = time.monotonic()
    found = importance(slow, rows, rows["x0"], task=Regress(), problem=problem, seconds=0.1)
    assert time.monotonic() - started < 2.0
    assert 1 <= len(found) < 50
