"""Logistic and ridge regression on scaled numbers and one column per category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.boosting import Part
from volant.bind.onnx import linear_model
from volant.bind.threads import blas_threads
from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.protocols import Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Support
from volant.learners.tabular.boosting import Hours, directions
from volant.learners.tabular.features import answer, linear_features, support, usable
from volant.learners.tabular.matrix import Features
from volant.learners.tabular.proximal import Line, Penalty, descend

MOST_CELLS = 50_000_000
"""Cells of the matrix that is fitted at the most: 200 MB of float32."""
MANY_CELLS = 10_000_000
"""Cells from which on several threads are quicker than one, which need not wait for others."""
ABSENT = -30.0
"""Margin of a class that the training rows do not hold."""


@dataclass(frozen=True)
class LinearOptions:
    """`strength` is the inverse of the penalty, `l1` the share of it that makes coefficients zero (elastic net)."""

    strength: float = 1.0
    l1: float = 0.0
    iterations: int = 400

    @property
    def penalty(self) -> Penalty:
        return Penalty(self.l1 / self.strength, (1.0 - self.l1) / self.strength)


@dataclass(frozen=True)
class LinearModel:
    """Weights (k, m) and bias (m,) on fitted features; `scale` and `shift` undo the scaling of a number."""

    features: Features
    weights: np.ndarray
    bias: np.ndarray
    classes: int
    scale: float
    shift: float
    iterations: int

    def export(self, folder: Path) -> Pipeline:
        (folder / "linear.onnx").write_bytes(linear_model(self.weights, self.bias))
        return answer(
            self.features,
            "linear.onnx",
            self.weights.shape[1],
            classes=self.classes,
            scale=self.scale,
            shift=self.shift,
        )

    def facts(self) -> dict[str, Any]:
        return {"features": self.features.width, "iterations": self.iterations}


class Linear:
    """Logistic regression for classes, ridge regression for numbers; with L1 and with signs where asked for."""

    name = "linear"
    version = 2
    summary = "logistic or ridge regression on scaled and one-hot features"
    options = LinearOptions

    def supports(self, problem: Problem) -> Support:
        return support(problem, monotone=True)

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        width = sum(256 if c.type == "text" else 20 if c.type == "category" else 2 for c in usable(problem))
        margins = len(problem.classes) if len(problem.classes) > 2 else 1
        cells = min(problem.rows * width, MOST_CELLS)
        seconds = 0.05 + cells * (1.0 + 4.0 * margins if problem.classes else 1.0) / 3e7 + problem.rows / 1e6
        return Cost(seconds=seconds, bytes=12 * cells + 64 * problem.rows)

    def portfolio(self, problem: Problem) -> Sequence[LinearOptions]:
        plain = [LinearOptions(strength=strength) for strength in (1.0, 0.1, 10.0)]
        return (*plain, LinearOptions(strength=0.3, l1=1.0), LinearOptions(strength=0.01), LinearOptions(0.1, 0.5))

    def settle(self, options: LinearOptions, facts: Sequence[dict[str, Any]]) -> LinearOptions:
        return options

    def fit(self, data: Rows, problem: Problem, options: LinearOptions, context: RunContext) -> LinearModel:
        hours = Hours(context.seconds)
        data = data.take(np.flatnonzero(data.weights() > 0))
        features = linear_features(data, problem, context.seed)
        data = _enough(data, features.width, context.seed)
        target = load("tasks", problem.task).encode(data, problem)
        x, weights = features.matrix(data), data.weights()
        context = replace(context, seconds=hours.left(0.9))
        if problem.classes:
            return _fit_classes(features, x, target, weights, len(problem.classes), options, context)
        return _fit_number(features, x, target, weights, options, context)


def _enough(data: Rows, width: int, seed: int) -> Rows:
    """As many rows as fit into `MOST_CELLS`: a line through them hardly moves with more."""
    rows = max(MOST_CELLS // max(width, 1), 1_000)
    if len(data) <= rows:
        return data
    return data.take(np.sort(np.random.default_rng(seed).choice(len(data), rows, replace=False)))


def _fit_number(
    features: Features,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    options: LinearOptions,
    context: RunContext,
) -> LinearModel:
    from sklearn.linear_model import Ridge

    shift = float(np.average(y, weights=weights))
    scale = float(np.sqrt(np.average((y - shift) ** 2, weights=weights))) or 1.0
    if options.l1 or features.signs:
        line = _descend(features, Part(x, (y - shift) / scale, weights), 0, options, context)
        return LinearModel(features, line.coefficients, line.bias, 0, scale, shift, line.iterations)
    ridge = Ridge(alpha=1.0 / options.strength)
    ridge.fit(x.astype(np.float64), (y - shift) / scale, sample_weight=weights)
    bias = np.array([ridge.intercept_], dtype=np.float64)
    return LinearModel(features, ridge.coef_[:, None], bias, 0, scale, shift, 1)


def _fit_classes(
    features: Features,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    classes: int,
    options: LinearOptions,
    context: RunContext,
) -> LinearModel:
    present = np.unique(y)
    if len(present) == 1:
        bias = np.full(classes, ABSENT)
        bias[present[0]] = 0.0
        return LinearModel(features, np.zeros((x.shape[1], classes)), bias, classes, 1.0, 0.0, 0)
    line = _descend(features, Part(x, np.searchsorted(present, y), weights), len(present), options, context)
    coefficients, intercepts, iterations = line.coefficients, line.bias, line.iterations
    if classes == 2:
        return LinearModel(features, coefficients, intercepts, classes, 1.0, 0.0, iterations)
    if len(present) == 2:
        coefficients, intercepts = coefficients * [[-0.5, 0.5]], intercepts * [-0.5, 0.5]
    matrix, bias = np.zeros((x.shape[1], classes)), np.full(classes, ABSENT)
    matrix[:, present], bias[present] = coefficients, intercepts
    return LinearModel(features, matrix, bias, classes, 1.0, 0.0, iterations)


def _descend(features: Features, part: Part, classes: int, options: LinearOptions, context: RunContext) -> Line:
    signs = np.array(directions(features))
    with blas_threads(1 if part.x.size < MANY_CELLS else context.threads):
        return descend(
            part, options.penalty, signs, classes=classes, iterations=options.iterations, seconds=context.seconds
        )
