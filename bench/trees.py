"""Trees in the library that grew them and as ONNX in the serving runtime: one row, and ten thousand.

Two hundred rounds of LightGBM, XGBoost and CatBoost on twenty columns of numbers, with two classes and with five, on
one thread. Prints a JSON line for each: microseconds for one row (medians), rows per second, and the largest difference
of a margin. Needs the extra `tables`; takes about half a minute.

    python bench/trees.py
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from volant.bind import catboost, lightgbm, xgboost
from volant.bind.boosting import Part
from volant.bind.onnx import Trees, trees_model

ROWS, WIDTH, ROUNDS = 10_000, 20, 200
Grown = tuple[Trees, np.ndarray | None, Callable]
"""Trees for ONNX, the table that their leaves stand in, if any, and the library's own prediction."""


def part(classes: int) -> Part:
    """Rows whose class depends on a few columns."""
    dice = np.random.default_rng(0)
    x = dice.normal(size=(ROWS, WIDTH)).astype(np.float32)
    scores = x[:, :classes] + 0.5 * x[:, classes : 2 * classes] ** 2 + dice.normal(size=(ROWS, classes))
    return Part(x, scores.argmax(axis=1).astype(np.float64), np.ones(ROWS))


def by_lightgbm(given: Part, classes: int) -> Grown:
    params = {"objective": "multiclass", "num_class": classes} if classes > 2 else {"objective": "binary"}
    params |= {"num_leaves": 31, "num_threads": 1}
    made = lightgbm.train(params, given, None, categorical=(), rounds=ROUNDS, patience=0, seconds=float("inf"))
    return (
        lightgbm.trees_of(made.model, made.rounds, WIDTH),
        None,
        lambda x: made.model.predict(x, raw_score=True, num_threads=1),
    )


def by_xgboost(given: Part, classes: int) -> Grown:
    params = {"objective": "multi:softprob", "num_class": classes} if classes > 2 else {"objective": "binary:logistic"}
    params |= {"max_depth": 6, "eta": 0.1, "nthread": 1}
    made = xgboost.train(params, given, None, rounds=ROUNDS, patience=0, seconds=float("inf"))
    made.model.set_param({"nthread": 1})
    return (
        xgboost.trees_of(made.model, made.rounds, WIDTH),
        None,
        lambda x: made.model.inplace_predict(x, predict_type="margin"),
    )


def by_catboost(given: Part, classes: int) -> Grown:
    params = {"loss_function": "MultiClass" if classes > 2 else "Logloss", "depth": 6, "thread_count": 1}
    made = catboost.train(params, given, None, rounds=ROUNDS, patience=0, seconds=float("inf"))
    forest = catboost.forest_of(made.model)
    trees, table = (
        (catboost.summed_trees(forest, WIDTH), None) if classes == 2 else catboost.numbered_trees(forest, WIDTH)
    )
    return trees, table, lambda x: made.model.predict(x, prediction_type="RawFormulaVal", thread_count=1)


def by_onnx(trees: Trees, table: np.ndarray | None) -> Callable:
    """The session that the runtime makes, on one thread; leaves of many margins stand in a table, as rows of it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(trees_model(trees), options, providers=["CPUExecutionProvider"])
    inner, name, out = session._sess, session.get_inputs()[0].name, [session.get_outputs()[0].name]

    def run(x: np.ndarray) -> np.ndarray:
        found = inner.run(out, {name: x}, None)[0]
        return found if table is None else table[found.astype(np.int64)].sum(axis=1)

    return run


def seconds(run: Callable, x: np.ndarray, times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        run(x)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    for grow in (by_lightgbm, by_xgboost, by_catboost):
        for classes in (2, 5):
            given = part(classes)
            trees, table, native = grow(given, classes)
            served = by_onnx(trees, table)
            told = {"library": grow.__name__[3:], "classes": classes, "nodes": len(trees.feature)}
            for name, run in (("native", native), ("onnx", served)):
                told[f"{name}_row_us"] = round(1e6 * seconds(run, given.x[:1].copy(), 2_000), 1)
                told[f"{name}_rows_per_second"] = round(ROWS / seconds(run, given.x, 5))
            apart = np.asarray(native(given.x)).reshape(ROWS, -1) - np.asarray(served(given.x)).reshape(ROWS, -1)
            print(json.dumps({**told, "largest_difference": float(np.abs(apart).max())}), flush=True)


if __name__ == "__main__":
    main()
