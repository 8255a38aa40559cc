"""Logistic and ridge regression on scaled numbers and one column per category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.boosting import Part
from volant.bind.onnx import linear_model
from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.protocols import Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Support
from volant.learners.lines import MOST_CELLS, Effort, Lines, enough, fit_classes, fit_number
from volant.learners.proximal import Penalty
from volant.learners.tabular.boosting import Hours, directions
from volant.learners.tabular.features import answer, linear_features, support, usable
from volant.learners.tabular.matrix import Features


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
    """A linear model on fitted features."""

    features: Features
    lines: Lines
    classes: int

    def export(self, folder: Path) -> Pipeline:
        lines = self.lines
        (folder / "linear.onnx").write_bytes(linear_model(lines.weights, lines.bias))
        margins = lines.weights.shape[1]
        return answer(self.features, "linear.onnx", margins, classes=self.classes, scale=lines.scale, shift=lines.shift)

    def facts(self) -> dict[str, Any]:
        return {"features": self.features.width, "iterations": self.lines.iterations}


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
        data = enough(data, features.width, context.seed)
        target = load("tasks", problem.task).encode(data, problem)
        part = Part(features.matrix(data), target, data.weights())
        effort = Effort(options.iterations, hours.left(0.9), context.threads)
        signs, classes = directions(features), len(problem.classes)
        if classes:
            return LinearModel(features, fit_classes(part, options.penalty, signs, effort, classes), classes)
        return LinearModel(features, fit_number(part, options.penalty, signs, effort), 0)
