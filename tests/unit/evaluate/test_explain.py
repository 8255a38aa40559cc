"""Explanations add up exactly, agree with theory, and importance finds what matters."""

import itertools
import time

import numpy as np
import pytest

from volant.core.records import Column, Problem
from volant.evaluate.explain import explain
from volant.evaluate.importance import importance
from volant.evaluate.lime import local_surrogate
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


@pytest.mark.parametrize("predictions", [1, 120, 700, 8192])
def test_base_and_contributions_add_up_to_the_output(predictions):
    one, background = batch(1, 1), batch(40)
    found = explain(weird, one, background, columns=COLUMNS, predictions=predictions, seed=3)
    assert found.base + found.parts.sum() == pytest.approx(found.output, rel=1e-9)
    assert found.output == pytest.approx(weird(one)[0])
    assert found.parts.shape == found.errors.shape == (3,)


def test_few_columns_are_explained_exactly():
    one, background = batch(1, 1), batch(40)
    found = explain(weird, one, background, columns=COLUMNS)
    assert found.parts == pytest.approx(by_definition(weird, one, background))
    assert found.base == pytest.approx(weird(background).mean())
    assert not found.errors.any()


def by_definition(predict, one, background):
    """Shapley values as means over all orders of the columns."""
    found = dict.fromkeys(COLUMNS, 0.0)
    orders = list(itertools.permutations(COLUMNS))
    for order in orders:
        mixed = dict(background)
        for name in order:
            before = predict(mixed).mean()
            mixed[name] = np.resize(one[name], len(background[name]))
            found[name] += (predict(mixed).mean() - before) / len(orders)
    return list(found.values())


WIDE = tuple("abcdefgh")


def wide(n, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=n) for name in WIDE}


def bent(rows):
    return rows["a"] * rows["b"] + rows["c"] * rows["d"] * rows["e"] + np.exp(rows["f"] / 2) * rows["g"]


def test_standard_errors_are_those_of_the_sampling():
    one, background = wide(1, 1), wide(40)
    exact = explain(bent, one, background, columns=WIDE, predictions=40 << 8)
    found = [explain(bent, one, background, columns=WIDE, predictions=1500, seed=i) for i in range(200)]
    off = np.array([shares.parts - exact.parts for shares in found])
    stated = np.mean([shares.errors for shares in found], axis=0)
    assert np.sqrt((off**2).mean(axis=0))[2:5] == pytest.approx(stated[2:5], rel=0.3)
    assert (np.abs(off.mean(axis=0)) < 4 * stated / np.sqrt(200) + 1e-12).all()
    assert off[:, [0, 1, 5, 6, 7]] == pytest.approx(0.0), "an order and its reverse settle what only pairs do"
    assert all(shares.base == pytest.approx(exact.base) for shares in found)


def test_a_linear_model_has_the_contributions_of_theory():
    one, background = wide(1, 1), wide(50)
    found = explain(linear, one, background, columns=WIDE)
    assert found.base == pytest.approx(linear(background).mean())
    wanted = dict.fromkeys(WIDE, 0.0) | {k: f * (one[k][0] - background[k].mean()) for k, f in (("a", 3), ("c", -2))}
    assert found.parts == pytest.approx(list(wanted.values()))


def test_equal_columns_share_and_the_seed_repeats():
    def product(rows):
        return rows["a"] * rows["c"]

    one = {"a": np.array([2.0]), "b": np.array(["x"], dtype=object), "c": np.array([2.0])}
    background = {"a": np.zeros(4), "b": np.array(["x"] * 4, dtype=object), "c": np.zeros(4)}
    found = explain(product, one, background, columns=COLUMNS, predictions=31, seed=1)
    assert found.base == 0.0
    assert found.parts == pytest.approx([2.0, 0.0, 2.0])
    again = explain(product, one, background, columns=COLUMNS, predictions=31, seed=1)
    assert np.array_equal(again.parts, found.parts)


def test_a_surrogate_passes_through_the_row_and_finds_a_line():
    one, background = batch(1, 1), batch(32)
    found = local_surrogate(linear, one, background, columns=COLUMNS)
    assert found.base + found.parts.sum() == pytest.approx(found.output) == linear(one)[0]
    wanted = [3 * (one["a"][0] - background["a"].mean()), 0.0, -2 * (one["c"][0] - background["c"].mean())]
    assert (np.abs(found.parts - wanted) < 5 * np.maximum(found.errors, 0.05)).all()
    assert 0.0 < found.fit < 1.0


def test_a_surrogate_says_how_well_it_fits():
    one = {"a": np.array([1.0]), "b": np.array([None], dtype=object), "c": np.array([1.0])}
    background = {"a": np.zeros(1), "b": np.array([None], dtype=object), "c": np.zeros(1)}
    straight = local_surrogate(lambda x: x["a"] + x["c"], one, background, columns=COLUMNS)
    crossed = local_surrogate(lambda x: (x["a"] - 0.5) * (x["c"] - 0.5), one, background, columns=COLUMNS)
    assert straight.fit > 0.99
    assert straight.parts == pytest.approx([1.0, 0.0, 1.0], abs=0.02)
    assert crossed.fit < 0.5


def test_a_column_is_either_the_rows_or_the_backgrounds():
    seen = set()

    def watch(rows):
        seen.update(rows["b"])
        return np.zeros(len(rows["b"]))

    one = {"a": np.zeros(1), "b": np.array(["mine"], dtype=object), "c": np.zeros(1)}
    background = {"a": np.zeros(3), "b": np.array(["theirs"] * 3, dtype=object), "c": np.zeros(3)}
    explain(watch, one, background, columns=COLUMNS)
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
