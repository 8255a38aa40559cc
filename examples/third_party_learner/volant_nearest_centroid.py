"""A learner for volant in one module: the class whose centre lies nearest.

With a common spread in all directions, the distance to a centre is linear in the inputs up to a term that
all classes share: -|x - c|² / 2 = x·c - |c|² / 2 - |x|² / 2. So the whole model is one matrix, which goes
into one ONNX node, and the runtime's own `softmax` turns the margins into probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.protocols import Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Step, Support
from volant.runtime.load import Runner

NUMERIC = ("number", "boolean")
ABSENT = -30.0


@dataclass(frozen=True)
class NearestCentroidOptions:
    """`sharpness` says how quickly probability falls with distance."""

    sharpness: float = 1.0


@dataclass(frozen=True)
class NearestCentroidModel:
    """Steps that end in a scaled matrix float32 (n, k), and the weights (k, C) and bias (C,) of the margins."""

    steps: tuple[Step, ...]
    weights: np.ndarray
    bias: np.ndarray

    def export(self, folder: Path) -> Pipeline:
        (folder / "centroids.onnx").write_bytes(one_gemm(self.weights, self.bias))
        margins = Step("onnx", ("matrix",), "margins", {"output": "y"}, "centroids.onnx")
        steps = (*self.steps, margins, Step("softmax", ("margins",), "probability"))
        return Pipeline(steps, {"probability": "probability"})

    def facts(self) -> dict[str, Any]:
        return {"columns": int(self.weights.shape[0])}


class NearestCentroid:
    """Predicts the class whose centre lies nearest, on numbers."""

    name = "nearest_centroid"
    version = 1
    summary = "the class whose centre lies nearest"
    options = NearestCentroidOptions

    def supports(self, problem: Problem) -> Support:
        if problem.task != "classify":
            return Support(False, "it learns classes only")
        if any(c.monotone for c in problem.inputs):
            return Support(False, "it cannot promise that predictions are monotone in a column")
        found = any(c.type in NUMERIC for c in problem.inputs)
        return Support(found, "" if found else "none of the input columns is a number")

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        cells = problem.rows * len(problem.inputs)
        return Cost(seconds=0.01 + cells / 1e7, bytes=16 * cells)

    def portfolio(self, problem: Problem) -> Sequence[NearestCentroidOptions]:
        return tuple(NearestCentroidOptions(s) for s in (1.0, 0.3, 3.0))

    def settle(self, options: NearestCentroidOptions, facts: Sequence[Mapping[str, Any]]) -> NearestCentroidOptions:
        return options

    def fit(
        self, data: Rows, problem: Problem, options: NearestCentroidOptions, context: RunContext
    ) -> NearestCentroidModel:
        used = data.take(np.flatnonzero(data.weights() > 0))
        columns = [c.name for c in problem.inputs if c.type in NUMERIC]
        steps = scaling(used, columns)
        x = matrix(steps, used, columns)
        classes = load("tasks", "classify").encode(used, problem)
        weights, bias = centres(x, classes, used.weights(), len(problem.classes))
        return NearestCentroidModel(steps, weights * options.sharpness, bias * options.sharpness)


def scaling(data: Rows, columns: Sequence[str]) -> tuple[Step, ...]:
    """Steps from columns to `matrix`: the median where a value is missing, then centred and scaled."""
    raw = np.stack([data.batch([name])[name].astype(np.float64) for name in columns], axis=1)
    fill = [float(np.median(v[~np.isnan(v)])) if not np.isnan(v).all() else 0.0 for v in raw.T]
    filled = np.where(np.isnan(raw), fill, raw)
    spread = np.where(filled.std(axis=0) > 0, filled.std(axis=0), 1.0)
    floats = [Step("float", (name,), f"float:{name}") for name in columns]
    return (
        *floats,
        Step("stack", tuple(step.output for step in floats), "raw"),
        Step("impute", ("raw",), "filled", {"fill": fill}),
        Step("scale", ("filled",), "matrix", {"center": fill, "spread": spread.tolist(), "clip": 8.0}),
    )


def matrix(steps: tuple[Step, ...], data: Rows, columns: Sequence[str]) -> np.ndarray:
    """The matrix float32 (n, k) by the runtime's own steps, so that serving cannot differ from training."""
    return Runner(Pipeline(steps, {"matrix": "matrix"}), Path()).predict(data.batch(columns))["matrix"]


def centres(x: np.ndarray, classes: np.ndarray, weight: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (k, C) and bias (C,) of the margins; a class without rows gets a margin far below."""
    weights, bias = np.zeros((x.shape[1], count)), np.full(count, ABSENT)
    for i in np.unique(classes):
        mine = classes == i
        centre = np.average(x[mine], axis=0, weights=weight[mine])
        weights[:, i] = centre
        bias[i] = np.log(weight[mine].sum() / weight.sum()) - 0.5 * centre @ centre
    return weights, bias


def one_gemm(weights: np.ndarray, bias: np.ndarray) -> bytes:
    """An ONNX model of one node: y = x @ weights + bias."""
    from onnx import TensorProto, helper, numpy_helper

    constants = [
        numpy_helper.from_array(weights.astype(np.float32), "weights"),
        numpy_helper.from_array(bias.astype(np.float32), "bias"),
    ]
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weights", "bias"], ["y"])],
        "nearest_centroid",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, weights.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, weights.shape[1]])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return bytes(model.SerializeToString(deterministic=True))
