"""Exported trees answer like the library that grew them: with missing and huge numbers, and at the thresholds."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volant.bind import catboost, forest, lightgbm, xgboost
from volant.bind.boosting import Part
from volant.bind.onnx import Trees, trees_model
from volant.runtime.arrays import leaf_sums

ENDLESS = float("inf")
WIDTH = 4
HUGE = float(np.finfo(np.float32).max)
TRIED = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 2**20)
counts = st.sampled_from([0, 2, 3])


def table(seed, rows):
    """Numbers of all sizes, whole ones and normal ones, with missing cells and the ends of floating point."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, WIDTH)).astype(np.float32)
    x[:, 1] = rng.integers(0, 4, rows)
    x[:, 2] = np.clip(rng.lognormal(10, 25, rows), -HUGE, HUGE)
    x[rng.random(x.shape) < 0.05] = np.nan
    x[rng.random(x.shape) < 0.01] = HUGE
    x[rng.random(x.shape) < 0.01] = -HUGE
    return x


def part(seed, classes, rows=120):
    x = table(seed, rows)
    rng = np.random.default_rng([seed, 1])
    score = np.nan_to_num(x[:, 0], nan=0.5, posinf=3, neginf=-3).clip(-3, 3) + (x[:, 1] > 1) + rng.normal(size=rows)
    y = score if not classes else np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    return Part(x, y.astype(np.float64), rng.uniform(0.5, 2.0, rows))


def asked(trees: Trees, seed):
    """Fresh rows, some of them exactly at thresholds or next to them, and one with nothing but missing cells."""
    x = table(seed + 1, 100)
    splits, features = np.array(trees.split, dtype=np.float32), np.array(trees.feature)
    for feature in range(WIDTH):
        here = splits[(features == feature) & np.isfinite(splits)][:60]
        shifted = np.nextafter(here, np.float32(HUGE)) if seed % 2 else here
        x[: len(here), feature] = np.where(np.isfinite(shifted), shifted, here)
    x[-1] = np.nan
    return x


def answers(trees: Trees, x):
    return ort.InferenceSession(trees_model(trees)).run(None, {"x": x})[0]


def near(found, expected):
    expected = np.asarray(expected).reshape(len(found), -1)
    assert np.abs(found - expected).max() < 1e-5 * max(1.0, float(np.abs(expected).max()))


@TRIED
@given(seeds, counts)
def test_xgboost(seed, classes):
    library = pytest.importorskip("xgboost")
    objective = {0: "reg:squarederror", 2: "binary:logistic", 3: "multi:softprob"}[classes]
    params = {"objective": objective, "max_depth": 4, "seed": seed, "nthread": 1, "subsample": 0.8}
    params |= {"num_class": 3} if classes == 3 else {}
    valid = part(seed + 7, classes) if seed % 2 else None
    booster, rounds, *_ = xgboost.train(params, part(seed, classes), valid, rounds=12, patience=3, seconds=ENDLESS)
    trees = xgboost.trees_of(booster, rounds, WIDTH)
    x = asked(trees, seed)
    expected = booster.predict(library.DMatrix(x), output_margin=True, iteration_range=(0, rounds))
    near(answers(trees, x), expected)


@TRIED
@given(seeds, counts, st.sampled_from(["Min", "Max"]))
def test_catboost(seed, classes, missing):
    pytest.importorskip("catboost")
    loss = {0: "RMSE", 2: "Logloss", 3: "MultiClass"}[classes]
    params = {"loss_function": loss, "nan_mode": missing, "thread_count": 1, "random_seed": seed, "depth": 4}
    valid = part(seed + 7, classes) if seed % 2 else None
    model, *_ = catboost.train(params, part(seed, classes), valid, rounds=12, patience=3, seconds=ENDLESS)
    grown = catboost.forest_of(model)
    if classes == 3:
        trees, rows = catboost.numbered_trees(grown, WIDTH)
    else:
        trees, rows = catboost.summed_trees(grown, WIDTH), None
    x = asked(trees, seed)
    found = answers(trees, x) if rows is None else leaf_sums({"table": rows})(answers(trees, x))
    near(found, model.predict(x, prediction_type="RawFormulaVal"))


@TRIED
@given(seeds, counts, st.sampled_from(["extra", "random"]))
def test_forest(seed, classes, kind):
    given_rows = part(seed, classes)
    params = {"random_state": seed, "min_samples_leaf": 2, "bootstrap": kind == "random", "n_jobs": 1}
    model = forest._model(kind, bool(classes))(**params, n_estimators=5)
    with np.errstate(all="ignore"):
        model.fit(given_rows.x, given_rows.y, sample_weight=given_rows.weights)
    grown = forest.grow(kind, params, given_rows, classes=classes, trees=5, seconds=ENDLESS)
    if not classes:
        trees = forest.averaged_trees(grown, WIDTH)
        x = asked(trees, seed)
        with np.errstate(all="ignore"):
            near(answers(trees, x), model.predict(x))
        return
    trees, rows = forest.numbered_trees(grown, WIDTH)
    x = asked(trees, seed)
    with np.errstate(all="ignore"):
        near(leaf_sums({"table": rows})(answers(trees, x)), model.predict_proba(x))


@TRIED
@given(seeds, counts)
def test_lightgbm(seed, classes):
    objective = {0: "regression", 2: "binary", 3: "multiclass"}[classes]
    params = {"objective": objective, "num_threads": 1, "seed": seed, "min_data_in_leaf": 3, "deterministic": True}
    params |= {"num_class": 3} if classes == 3 else {}
    rows = part(seed, classes)
    booster, rounds, *_ = lightgbm.train(params, rows, None, categorical=[], rounds=12, patience=3, seconds=ENDLESS)
    trees = lightgbm.trees_of(booster, rounds, WIDTH)
    x = asked(trees, seed)
    near(answers(trees, x), booster.predict(x, raw_score=True, num_iteration=rounds))
