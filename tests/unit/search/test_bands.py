"""Intervals: they hold what they promise, on both sides, whatever shape errors have, and never exclude the value."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Pipeline, Problem, Schema, Step
from volant.errors import BadInput
from volant.release.export import Part, extended
from volant.runtime.load import Runner
from volant.search.bands import VALUE, HeldOutRows, fit_band
from volant.search.conformal import reach
from volant.search.halves import Effort
from volant.testing.rows import MemoryRows

SCHEMA = Schema((Column("x", "number"), Column("kind", "category"), Column("y", "number", "target")))
PROBLEM = Problem("regress", "y", SCHEMA.inputs, 1_000, (), "rmse", interval=0.8)


def made(count, seed=0):
    """Rows whose errors are skewed and grow with x, their truth, and the best prediction."""
    rng = np.random.default_rng(seed)
    x, kind = rng.uniform(0, 1, count), rng.integers(0, 3, count)
    best = 10 + 5 * x
    y = best + (0.2 + 3 * x) * (rng.exponential(1.0, count) - 1.0)
    table = pa.table({"x": x, "kind": pa.array([f"k{i}" for i in kind]), "y": y})
    return MemoryRows.of(SCHEMA, table), y, best


def ends(band, folder, rows, value):
    """What a release with this band answers."""
    start = Pipeline((Step("constant", ("x",), "nothing", {"value": 0.0}),), {"value": "given"})
    (folder / "band").mkdir(exist_ok=True)
    part = Part(band.export(folder / "band"), folder / "band", 1.0)
    whole = extended(start, part, folder, name="interval", given={VALUE: "given"})
    found = Runner(whole, folder, 1).predict({**rows.batch(["x", "kind"]), "given": value})
    return found["low"], found["high"]


def test_as_many_truths_as_promised_lie_within_and_on_either_side(tmp_path):
    rows, y, best = made(2_000)
    band = fit_band(HeldOutRows(rows, y, best), PROBLEM, Effort(0, 1))
    fresh, truth, value = made(20_000, 1)
    low, high = ends(band, tmp_path, fresh, value)
    assert ((low <= value) & (value <= high)).all()
    assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(0.8, abs=0.03)
    assert np.mean(truth < low) == pytest.approx(0.1, abs=0.025)
    assert np.mean(truth > high) == pytest.approx(0.1, abs=0.025)


def test_the_interval_is_wide_where_errors_are(tmp_path):
    rows, y, best = made(2_000)
    band = fit_band(HeldOutRows(rows, y, best), PROBLEM, Effort(0, 1))
    low, high = ends(band, tmp_path, rows, best)
    x = rows.batch(["x"])["x"]
    assert (high - low)[x > 0.8].mean() > 3 * (high - low)[x < 0.2].mean()
    for part in (x < 0.3, x > 0.7):
        assert np.mean(((low <= y) & (y <= high))[part]) > 0.72


def test_errors_that_are_alike_everywhere_get_one_reach(tmp_path):
    rows, _, best = made(600)
    y = best + np.random.default_rng(3).normal(size=600)
    band = fit_band(HeldOutRows(rows, y, best), PROBLEM, Effort(0, 1))
    low, high = ends(band, tmp_path, rows, best)
    assert band.trees is None
    assert np.ptp(high - low) == pytest.approx(0.0, abs=1e-9)


def test_without_time_every_row_gets_the_same_reach():
    rows, y, best = made(400)
    assert fit_band(HeldOutRows(rows, y, best), PROBLEM, Effort(0, 1, seconds=0.1)).trees is None


def test_with_enough_time_the_same_is_found_as_without_a_limit():
    rows, y, best = made(600)
    known = HeldOutRows(rows, y, best)
    assert fit_band(known, PROBLEM, Effort(0, 1, seconds=600.0)).low == fit_band(known, PROBLEM, Effort(0, 1)).low


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows, y, best = made(600)
    bands = [fit_band(HeldOutRows(rows, y, best), PROBLEM, Effort(0, 1)) for _ in range(2)]
    for name, band in zip("ab", bands, strict=True):
        (tmp_path / name).mkdir()
        band.export(tmp_path / name)
    first, second = ((tmp_path / name / "trees.onnx").read_bytes() for name in "ab")
    assert first == second
    assert bands[0].low == bands[1].low


def test_a_number_that_was_never_negative_gets_no_negative_end(tmp_path):
    rows, _, _ = made(500)
    rng = np.random.default_rng(4)
    value = rng.uniform(0, 2, 500)
    y = np.abs(value + rng.normal(size=500))
    band = fit_band(HeldOutRows(rows, y, value), PROBLEM, Effort(0, 1))
    low, _ = ends(band, tmp_path, rows, value)
    assert low.min() == 0.0
    assert (low[value > 1.9] > 0).all()
    below, _ = ends(band, tmp_path, rows, value - 3.0)
    assert (below <= value - 3.0).all()
    signed = fit_band(HeldOutRows(rows, y - 5, value - 5), PROBLEM, Effort(0, 1))
    assert ends(signed, tmp_path, rows, value - 5)[0].min() < -5


def test_too_few_rows_for_the_promise_are_told():
    rows, y, best = made(30)
    with pytest.raises(BadInput, match="too few rows") as caught:
        fit_band(HeldOutRows(rows, y, best), replace(PROBLEM, interval=0.95), Effort(0, 1))
    assert "it takes 39" in caught.value.text()


def test_rows_without_truth_prediction_or_weight_do_not_count():
    rows, y, best = made(600)
    plain = fit_band(HeldOutRows(rows.take(np.arange(500)), y[:500], best[:500]), PROBLEM, Effort(0, 1, 0.0))
    y[500:550], best[550:] = np.nan, np.nan
    assert fit_band(HeldOutRows(rows, y, best), PROBLEM, Effort(0, 1, 0.0)).low == plain.low


def test_the_reach_is_the_usual_rank_where_keys_and_weights_are_plain():
    scores = np.random.default_rng(0).permutation(99).astype(float)
    keys = np.arange(99).astype(str)
    assert reach(scores, np.ones(99), keys, 0.9) == 89.0
    assert reach(scores, np.full(99, 7.0), keys, 0.9) == 89.0
    assert reach(scores, np.ones(99), keys, 0.99) == 98.0
    with pytest.raises(BadInput):
        reach(scores, np.ones(99), keys, 0.991)


def test_rows_of_one_subject_are_one_voice():
    scores = np.arange(100.0)
    few = np.repeat(np.arange(10), 10).astype(str)
    assert reach(scores, np.ones(100), few, 0.8) == 87.0
    with pytest.raises(BadInput):
        reach(scores, np.ones(100), few, 0.95)


def test_a_heavy_row_pulls_the_reach():
    scores, keys = np.arange(99.0), np.arange(99).astype(str)
    weights = np.where(scores > 90, 20.0, 1.0)
    assert reach(scores, weights, keys, 0.9) > 95
