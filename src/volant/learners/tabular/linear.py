"""Logistic and ridge regression on scaled numbers and one column per category."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.boosting import Part
from volant.bind.onnx import linear_model
from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.protocols import Earlier, Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Support
from volant.learners.lines import MOST_CELLS, Effort, Lines, enough, fit_classes, fit_labels, fit_number, settle_classes
from volant.learners.online import learn, variances
from volant.learners.proximal import Penalty
from volant.learners.tabular.boosting import Hours, directions, margins
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
    unsure: Callable[[], np.ndarray]
    """How unsure each coefficient is, the bias last, (k + 1, m): what online learning moves them by.

    It is worked out only where a fit is kept: it takes a look at all rows.
    """
    labels: bool = False

    def export(self, folder: Path) -> Pipeline:
        lines = self.lines
        (folder / "linear.onnx").write_bytes(linear_model(lines.weights, lines.bias))
        many = lines.weights.shape[1]
        given: dict[str, Any] = {"classes": self.classes, "scale": lines.scale, "shift": lines.shift}
        return answer(self.features, "linear.onnx", many, **given, labels=self.labels)

    def facts(self) -> dict[str, Any]:
        return {"features": self.features.width, "iterations": self.lines.iterations}


class Linear:
    """Logistic regression for classes, ridge regression for numbers; with L1 and with signs where asked for."""

    name = "linear"
    version = 2
    summary = "logistic or ridge regression on scaled and one-hot features"
    options = LinearOptions
    ways = ("warm", "online")

    def supports(self, problem: Problem) -> Support:
        return support(problem, monotone=True, labels=True)

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        width = sum(256 if c.type == "text" else 20 if c.type == "category" else 2 for c in usable(problem))
        cells = min(problem.rows * width, MOST_CELLS)
        seconds = (
            0.05
            + cells * (1.0 + 4.0 * margins(problem) if problem.classes or problem.labels else 1.0) / 3e7
            + problem.rows / 1e6
        )
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
        if problem.labels:
            lines = fit_labels(part, options.penalty, signs, effort)
            return LinearModel(features, lines, 0, lambda: np.zeros((0, 0)), labels=True)
        if classes:
            return _model(features, fit_classes(part, options.penalty, signs, effort, classes), classes, part, options)
        return _model(features, fit_number(part, options.penalty, signs, effort), 0, part, options)

    def keep(self, model: LinearModel, folder: Path) -> None:
        lines = model.lines
        held = {"weights": lines.weights, "bias": lines.bias, "unsure": model.unsure()}
        for name, values in held.items():
            np.save(folder / f"{name}.npy", values, allow_pickle=False)
        about = {"scale": lines.scale, "shift": lines.shift, "features": model.features.record()}
        (folder / "linear.json").write_text(json.dumps(about))

    def resume(
        self, earlier: Earlier, data: Rows, problem: Problem, options: LinearOptions, context: RunContext
    ) -> LinearModel:
        hours, classes = Hours(context.seconds), len(problem.classes)
        features, lines, unsure = _kept(earlier, classes)
        data = enough(data.take(np.flatnonzero(data.weights() > 0)), features.width, context.seed)
        if not len(data):
            return LinearModel(features, lines, classes, lambda: unsure)
        target = load("tasks", problem.task).encode(data, problem)
        part, signs = Part(features.matrix(data), target, data.weights()), directions(features)
        if earlier.way == "online":
            if not classes:
                part = Part(part.x, (part.y - lines.shift) / lines.scale, part.weights)
            lines, moved = learn(part, lines, unsure, np.array(signs))
            return LinearModel(features, lines, classes, lambda: moved)
        effort = Effort(options.iterations, hours.left(0.9), context.threads)
        if classes:
            return _model(features, settle_classes(part, options.penalty, signs, effort, lines), classes, part, options)
        return _model(features, fit_number(part, options.penalty, signs, effort), 0, part, options)


def _model(features: Features, lines: Lines, classes: int, part: Part, options: LinearOptions) -> LinearModel:
    return LinearModel(features, lines, classes, partial(variances, part, options.penalty, lines))


def _kept(earlier: Earlier, classes: int) -> tuple[Features, Lines, np.ndarray]:
    """What a fit kept: its features, its lines, and how unsure they are."""
    about = json.loads((earlier.folder / "linear.json").read_bytes())
    weights, bias, unsure = (np.load(earlier.folder / f"{n}.npy") for n in ("weights", "bias", "unsure"))
    lines = Lines(weights, bias, about["scale"], about["shift"], numbers=not classes)
    return Features.of(earlier.pipeline, about["features"]), lines, unsure
