"""Exported models rise and fall with the columns that they were told to, whatever the data show."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volant.core.plugins import load
from volant.core.protocols import RunContext
from volant.core.records import Column, Problem, Schema
from volant.runtime.load import Runner
from volant.testing.rows import MemoryRows

ROWS = 250
INPUTS = (
    Column("up", "number", monotone="increasing"),
    Column("down", "number", monotone="decreasing"),
    Column("kind", "category"),
)


def table(seed, classes):
    """Targets that wind about both numbers, differently for each kind, with missing cells."""
    rng = np.random.default_rng(seed)
    up, down, kind = rng.normal(size=ROWS), rng.normal(size=ROWS), rng.integers(0, 3, ROWS)
    score = np.sin(rng.uniform(1, 4) * up) + up * rng.normal() + np.abs(down) * (kind - 1) + rng.normal(size=ROWS) / 2
    gone = rng.random(ROWS) < 0.1
    columns = {
        "up": pa.array(np.where(gone, None, up).tolist(), pa.float64()),
        "down": down,
        "kind": pa.array(["abc"[k] for k in kind]),
        "target": pa.array([classes[int(s > 0)] for s in score]) if classes else score,
    }
    schema = Schema((*INPUTS, Column("target", "category" if classes else "number", "target")))
    return MemoryRows.of(schema, pa.table(columns))


@pytest.mark.parametrize("name", ["boosted_trees", "xgboost", "catboost", "linear"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**20), classes=st.sampled_from([(), ("no", "yes")]))
def test_predictions_keep_to_directions(name, seed, classes):
    learner, rows = load("learners", name), table(seed, classes)
    metric = "log_loss" if classes else "rmse"
    problem = Problem("classify" if classes else "regress", "target", INPUTS, ROWS, classes, metric)
    support = learner.supports(problem)
    if not support:
        pytest.skip(support.reason)
    offered = learner.portfolio(problem)
    options = offered[seed % len(offered)]
    options = replace(options, rounds=25) if hasattr(options, "rounds") else options
    with tempfile.TemporaryDirectory() as place:
        runner = Runner(learner.fit(rows, problem, options, RunContext(seed=seed)).export(Path(place)), Path(place))
    rng, grid = np.random.default_rng([seed, 1]), np.linspace(-5, 5, 120)
    for _ in range(6):
        row = {"up": rng.normal(), "down": rng.normal(), "kind": rng.choice(["a", "b", "never seen"])}
        for column, sign in (("up", 1), ("down", -1)):
            batch = {k: np.full(len(grid), v, dtype=object if k == "kind" else float) for k, v in row.items()}
            out = runner.predict({**batch, column: grid})
            predicted = out["probability"][:, 1] if classes else out["value"]
            assert (sign * np.diff(predicted)).min() > -1e-6
