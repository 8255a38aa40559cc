"""Over many random splits, intervals hold as many truths as they promise; `bench/coverage.py` shows it at length."""

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Pipeline, Problem, Schema, Step
from volant.runtime.load import Runner
from volant.search.bands import HeldOutRows, fit_band
from volant.search.halves import Effort
from volant.testing.rows import MemoryRows
from volant.wheel.intervals import with_interval

SCHEMA = Schema((Column("x", "number"), Column("who", "id", "subject"), Column("y", "number", "target")))
SPLITS = 40


def made(count, rng, per_subject=1):
    """Skewed numbers whose noise varies with x, their best prediction, and weights that grow with x."""
    x = rng.uniform(0, 1, count)
    who = np.repeat(np.arange(count), per_subject)[:count]
    shared = rng.normal(size=count)[who] if per_subject > 1 else 0.0
    best = np.exp(1 + 2 * x)
    y = best * np.exp((0.1 + 0.6 * x) * (rng.normal(size=count) + shared))
    named = pa.array([f"s{i}" for i in who])
    return MemoryRows.of(SCHEMA, pa.table({"x": x, "who": named, "y": y}), 0.5 + x), y, best


def coverage(tmp_path, seed, share, *, seconds, per_subject):
    """Of one split of 200 rows, the weighted share of 4,000 fresh truths within their interval."""
    rng = np.random.default_rng(seed)
    rows, y, best = made(200, rng, per_subject)
    problem = Problem("regress", "y", SCHEMA.inputs, len(rows), (), "rmse", interval=share)
    band = fit_band(HeldOutRows(rows, y, best), problem, Effort(seed, 1, seconds))
    start = Pipeline((Step("first", ("given",), "value"),), {"value": "value"})
    folder = tmp_path / str(seed)
    folder.mkdir()
    whole = with_interval(start, band, "value", folder)
    fresh, truth, value = made(4_000, rng, per_subject)
    found = Runner(whole, folder, 1).predict({**fresh.batch(["x"]), "given": value[:, None]})
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    return np.average((found["low"] <= truth) & (truth <= found["high"]), weights=fresh.weights())


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("per_subject", [1, 4])
def test_the_mean_coverage_of_one_reach_for_all_is_what_was_promised(tmp_path, share, per_subject):
    found = [coverage(tmp_path, seed, share, seconds=0.0, per_subject=per_subject) for seed in range(SPLITS)]
    error = np.std(found, ddof=1) / np.sqrt(SPLITS)
    assert np.mean(found) == pytest.approx(share, abs=3 * error + 2 / 200)


def test_the_mean_coverage_of_trees_is_what_was_promised(tmp_path):
    found = [coverage(tmp_path, seed, 0.8, seconds=float("inf"), per_subject=1) for seed in range(5)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.04)
