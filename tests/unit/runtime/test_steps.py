"""Each step does what its docstring says, for one row as for many."""

from pathlib import Path

import numpy as np
import pytest

from volant.core.records import Pipeline, Step
from volant.errors import BadInput
from volant.runtime.grams import grams
from volant.runtime.load import Runner, inside
from volant.runtime.steps import CALENDAR, compile_step


def run(op, *inputs, **params):
    return compile_step(op, params, None, 1)(*inputs)


def objects(*values):
    return np.array([*values, None], dtype=object)[:-1]


def test_float_keeps_missing_and_tames_infinity():
    out = run("float", np.array([1.5, np.nan, np.inf, -1e308]))
    assert out.shape == (4, 1)
    assert out.dtype == np.float32
    assert np.isnan(out[1, 0])
    assert np.isfinite(out[[0, 2, 3]]).all()


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_numbers_made_ready_together_are_those_made_one_by_one(rows):
    rng = np.random.default_rng(rows)
    kinds = {"a": rng.normal(size=rows), "b": rng.integers(0, 9, rows), "c": rng.normal(size=rows) > 0}
    batch = kinds | {"d": objects(*([True, None, False, True, None][:rows])), "e": np.full(rows, np.inf)}
    steps = [Step("float", (name,), f"float {name}", {}) for name in batch]
    steps.append(Step("encode", ("word",), "code", {"vocabulary": ["x"], "other": 1}))
    steps.append(Step("stack", ("float a", "float b", "code", "float c", "float d", "float e"), "matrix", {}))
    steps.append(Step("stack", ("float b", "float a"), "two", {}))
    runner = Runner(Pipeline(tuple(steps), {"matrix": "matrix", "two": "two", "alone": "float c"}), Path())
    batch["word"] = objects(*(["x"] * rows))
    found = runner.predict(batch)
    for name, value in (("matrix", "matrix"), ("two", "two"), ("alone", "float c")):
        slow = runner.value(value, batch, {step.output for step in steps})
        assert found[name].dtype == slow.dtype == np.float32
        assert found[name].tobytes() == slow.tobytes()
    assert found["matrix"].shape == (rows, 6)


def test_encode_tells_known_unseen_and_missing_apart():
    out = run("encode", objects("b", "a", "z", None), vocabulary=["a", "b"], other=2)[:, 0]
    assert out[:3].tolist() == [1, 0, 2]
    assert np.isnan(out[3])


def test_one_hot_gives_zeros_for_missing_and_outside():
    out = run("one_hot", np.array([[0.0], [2.0], [np.nan], [7.0]], np.float32), size=3)
    assert out.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_calendar_knows_the_parts_of_a_moment():
    out = run("calendar", np.array(["2024-02-29T13:45:10", "NaT", "1969-12-31T00:00:00"], "datetime64[us]"))
    parts = dict(zip(CALENDAR, out[0], strict=True))
    assert parts["year"] == 2024
    assert (parts["month"], parts["day"], parts["weekday"], parts["day_of_year"]) == (2, 29, 3, 60)
    assert (parts["hour"], parts["minute"]) == (13, 45)
    assert np.isnan(out[1]).all()
    assert dict(zip(CALENDAR, out[2], strict=True))["year"] == 1969


def test_ngrams_of_equal_texts_are_equal_and_have_length_one():
    out = run("hash_ngrams", objects("Guten Tag", "guten  tag", "", None, "你好"), size=64, low=2, high=3)
    assert np.allclose(out[0], out[1])
    assert np.allclose(np.linalg.norm(out[[0, 4]], axis=1), 1.0)
    assert out[3].sum() == 0


def test_impute_fills_and_flags():
    x = np.array([[np.nan, 1.0], [2.0, np.nan]], np.float32)
    assert run("impute", x, fill=[5.0, 6.0], flags=[0]).tolist() == [[5, 1, 1], [2, 6, 0]]


def test_scale_cuts_extremes():
    out = run("scale", np.array([[1e30, -3.0]], np.float32), center=[0, 1], spread=[1, 2], clip=8)
    assert out.tolist() == [[8, -2]]


def test_probabilities():
    assert np.allclose(run("sigmoid_pair", np.array([[0.0], [1e9]])), [[0.5, 0.5], [0, 1]])
    assert np.allclose(run("softmax", np.array([[1e4, 0.0, 0.0]])), [[1, 0, 0]])
    p = np.array([[0.9, 0.1]])
    assert run("temperature", p, value=2.0)[0, 0] < 0.9 < run("temperature", p, value=0.5)[0, 0]
    assert np.allclose(run("average", p, np.array([[0.5, 0.5]]), weights=[3, 1]), [[0.8, 0.2]])


def test_decide_takes_the_likeliest_or_the_threshold():
    p = np.array([[0.6, 0.4], [0.2, 0.8]])
    assert run("decide", p, classes=["no", "yes"], threshold=None).tolist() == ["no", "yes"]
    assert run("decide", p, classes=["no", "yes"], threshold=0.3).tolist() == ["yes", "yes"]


def test_an_unknown_step_is_refused_by_name():
    with pytest.raises(BadInput) as bad:
        run("pickle_load", np.zeros(1))
    assert bad.value.code == "artifact-unknown-step"


@pytest.mark.parametrize("name", ["../evil.onnx", "/etc/passwd", "a/../../b"])
def test_files_outside_the_artifact_are_refused(name, tmp_path):
    with pytest.raises(BadInput) as bad:
        inside(tmp_path, name)
    assert bad.value.code == "artifact-damaged"


def test_a_pipeline_runs_its_steps_in_order():
    steps = (Step("float", ("x",), "a"), Step("stack", ("a", "a"), "b"), Step("scale", ("b",), "c", SCALE))
    out = Runner(Pipeline(steps, {"y": "c"}), Path()).predict({"x": np.array([1.0, 2.0])})
    assert out["y"].tolist() == [[1, 2], [2, 4]]


SCALE = {"center": [0, 0], "spread": [1, 0.5], "clip": 100}


def test_grams_keeps_the_chosen_buckets_alone_and_scales_rows_to_length_one():
    _, buckets = grams(["guten tag"], 64, 2, 3)
    keep = sorted(set(buckets.tolist()))
    out = run(
        "grams", objects("Guten Tag", "", None), size=64, low=2, high=3, keep=keep[:5], weight=[1.0] * len(keep[:5])
    )
    assert out.shape == (3, 5)
    assert np.isclose(np.linalg.norm(out[0]), 1.0)
    assert not out[1:].any()


def test_lookup_gives_the_last_row_for_what_it_does_not_know():
    codes = np.array([[0.0], [1.0], [2.0], [-1.0], [np.nan]], np.float32)
    assert run("lookup", codes, table=[[1, 2], [3, 4], [9, 9]]).tolist() == [[1, 2], [3, 4], [9, 9], [9, 9], [9, 9]]


def test_cross_gives_each_pair_of_codes_a_code():
    a, b = np.array([[0.0], [1.0], [np.nan]], np.float32), np.array([[2.0], [0.0], [1.0]], np.float32)
    out = run("cross", a, b, size=3)[:, 0]
    assert out[:2].tolist() == [2, 3]
    assert np.isnan(out[2])


def test_days_between_counts_fractions_and_keeps_missing():
    later = np.array(["2024-03-01T12:00:00", "NaT"], "datetime64[us]")
    earlier = np.array(["2024-02-29T00:00:00", "2024-02-29"], "datetime64[us]")
    out = run("days_between", later, earlier)[:, 0]
    assert out[0] == 1.5
    assert np.isnan(out[1])


def test_combine_gives_differences_then_ratios():
    x = np.array([[6.0, 3.0], [1.0, 0.0]], np.float32)
    out = run("combine", x, pairs=[[0, 1]])
    assert out[0].tolist() == [3, 2]
    assert out[1, 0] == 1
    assert np.isnan(out[1, 1])


def test_exp_undoes_a_logarithm_and_stays_within_bounds():
    out = run("exp", np.log(np.array([2.0, 5.0, 1e9])), factor=1.0, offset=1.0, low=0.0, high=10.0)
    assert np.allclose(out, [1.0, 4.0, 10.0])


def test_interval_ends_lie_on_their_side_of_the_value():
    value = np.array([1.0, 2.0, 3.0])
    end = {"shift": 1.0, "factor": 0.0, "column": 0, "exponential": False}
    assert run("interval_end", value, side="high", **end).tolist() == [2.0, 3.0, 4.0]
    assert run("interval_end", value, side="low", **end).tolist() == value.tolist()
    assert run("interval_end", value, side="high", **{**end, "shift": -1.0}).tolist() == value.tolist()


def test_interval_ends_follow_their_margin():
    value, margins = np.zeros(2), np.array([[5.0, 0.0], [5.0, np.log(3.0)]], np.float32)
    end = {"shift": 0.0, "factor": 2.0, "column": 1, "exponential": True, "side": "high"}
    assert run("interval_end", value, margins, **end).tolist() == pytest.approx([2.0, 6.0])
    low = {**end, "factor": -2.0, "column": 0, "exponential": False, "side": "low"}
    assert run("interval_end", value, margins, **low).tolist() == [-10.0, -10.0]
    assert run("interval_end", value - 1, margins, **low, floor=0.0).tolist() == [-1.0, -1.0]
    assert run("interval_end", value + 1, margins, **low, floor=0.0).tolist() == [0.0, 0.0]
