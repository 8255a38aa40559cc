"""The networks for tables: what they learn, what they bear, how they end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from volant.core.clock import Machine
from volant.core.protocols import RunContext
from volant.core.records import Column, Problem, Schema
from volant.learners.tabular.mlp import Mlp
from volant.learners.tabular.network import Network
from volant.runtime.load import Runner
from volant.testing.rows import MemoryRows

pytest.importorskip("torch")

LEARNERS = [Network(), Mlp()]
BY_NAME = pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: one.name)


def table(columns, target, kinds=None):
    kinds = kinds or {}
    listed = [Column(name, kinds.get(name, "number")) for name in columns]
    numeric = not isinstance(target[0], str)
    schema = Schema((*listed, Column("y", "number" if numeric else "category", "target")))
    rows = MemoryRows.of(schema, pa.table({**columns, "y": pa.array(target)}))
    classes = () if numeric else tuple(sorted(set(target)))
    task, metric = ("regress", "rmse") if numeric else ("classify", "log_loss")
    return rows, Problem(task, "y", tuple(listed), len(rows), classes, metric)


def checkers(n=400, seed=0):
    """Two classes that no line can tell apart."""
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
    return table({"a": x[:, 0], "b": x[:, 1]}, ["yes" if v > 0 else "no" for v in x[:, 0] * x[:, 1]])


def answers(learner, rows, problem, fresh, folder, options=None, **context):
    chosen = options or learner.portfolio(problem)[0]
    model = learner.fit(rows, problem, chosen, RunContext(**context))
    runner = Runner(model.export(folder), folder)
    return next(iter(runner.predict(fresh.batch([c.name for c in problem.inputs])).values())), model


@BY_NAME
def test_it_learns_what_no_line_can(learner, tmp_path):
    rows, problem = checkers()
    fresh, _ = checkers(200, seed=1)
    said, _ = answers(learner, rows, problem, fresh, tmp_path, validation=fresh)
    truth = np.array(fresh.table(["y"]).column(0).to_pylist()) == "yes"
    assert (said[:, 1].round() == truth).mean() > 0.9


@BY_NAME
def test_it_learns_numbers_and_stays_within_those_it_saw(learner, tmp_path):
    x = np.random.default_rng(0).uniform(-2, 2, 400)
    rows, problem = table({"a": x}, 1e6 + 1e3 * x**2)
    far, _ = table({"a": np.array([-1e6, -1.0, 0.0, 1.0, 1e6, np.nan])}, np.zeros(6))
    said, _ = answers(learner, rows, problem, far, tmp_path, validation=rows)
    assert said[1:4] == pytest.approx([1e6 + 1e3, 1e6, 1e6 + 1e3], abs=250.0)
    assert said.min() >= 1e6 - 1
    assert said.max() <= 1e6 + 4e3 + 1


@BY_NAME
def test_many_categories_are_embedded_and_unseen_ones_count_as_missing(learner, tmp_path):
    rng = np.random.default_rng(0)
    code = rng.integers(0, 40, 800)
    rows, problem = table(
        {"town": [f"t{c}" for c in code]}, ["yes" if c % 2 else "no" for c in code], {"town": "category"}
    )
    fresh, _ = table({"town": ["t1", "t2", None, "nowhere"]}, ["no"] * 4, {"town": "category"})
    said, _ = answers(learner, rows, problem, fresh, tmp_path, validation=rows)
    assert said[0, 1] > 0.8
    assert said[1, 1] < 0.2
    assert said[2] == pytest.approx(said[3])
    assert 0.15 < said[3, 1] < 0.85


@BY_NAME
def test_the_last_fit_ends_where_the_folds_were_best(learner, tmp_path):
    rows, problem = checkers(200)
    options = learner.portfolio(problem)[0]
    facts = [{"best": 0.2}, {"best": 0.3}]
    settled = learner.settle(options, facts)
    assert settled.until == pytest.approx(0.25)
    _, model = answers(learner, rows, problem, rows, tmp_path, settled)
    assert model.facts()["epochs"] == pytest.approx(0.25 * options.epochs, abs=1.0)


@BY_NAME
def test_without_torch_it_says_what_to_install(learner, monkeypatch):
    _, problem = checkers(50)
    monkeypatch.setattr("volant.core.plugins.find_spec", lambda library: None)
    found = learner.supports(problem)
    assert not found
    assert "volant[neural]" in found.reason


@BY_NAME
def test_another_seed_gives_another_network(learner, tmp_path):
    rows, problem = checkers(100)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    first, same, other = (
        answers(learner, rows, problem, rows, tmp_path / name, seed=seed)[0]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@BY_NAME
def test_weights_are_heard(learner, tmp_path):
    rows, problem = table({"a": np.zeros(60)}, ["yes", "no"] * 30)
    heavy = replace(rows, weight=np.tile([9.0, 1.0], 30))
    said, _ = answers(learner, heavy, problem, rows, tmp_path)
    assert said[0, 1] == pytest.approx(0.9, abs=0.05)


@BY_NAME
def test_more_cores_are_expected_to_take_less_time(learner):
    _, problem = checkers(100)
    large = replace(problem, rows=50_000)
    one, four = (learner.estimate(large, Machine(cores=n, memory=2**33, disk=2**33)).seconds for n in (1, 4))
    assert four < one


@BY_NAME
def test_options_of_the_space_are_options(learner):
    _, problem = checkers(100)
    assert set(learner.space(problem)) <= set(vars(learner.options()))
