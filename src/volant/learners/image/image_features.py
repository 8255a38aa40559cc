"""Pictures by plain arithmetic: edges, colours and a view from afar, with a linear model on top. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.boosting import Part
from volant.bind.onnx import linear_model
from volant.columns.descriptors import WIDTH
from volant.columns.pictures import size_of
from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.protocols import Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Support
from volant.learners.lines import MOST_CELLS, Effort, Lines, enough, fit_classes, fit_labels, fit_number
from volant.learners.proximal import Penalty
from volant.learners.tabular.boosting import Hours, directions, margins
from volant.learners.tabular.features import answer, unfinished_linear, usable
from volant.learners.tabular.matrix import Features

SIDES = (32, 64)
SMALL = 40
"""Pixels of the shorter side up to which pictures are looked at as 32 × 32, larger ones as 64 × 64."""

LOOKED_AT = 100
"""Pictures whose size is looked at."""

DECODING, DESCRIBING = 6e-4, 4e-4
"""Seconds that decoding a small picture and describing it take, measured on one core."""


@dataclass(frozen=True)
class ImageFeaturesOptions:
    """`strength` is the inverse of the penalty. `side` is that of the picture that is looked at, 0 for a fitting one.

    `mode` is how pictures are brought to a square: `stretch`, `pad` or `crop`.
    """

    strength: float = 0.003
    side: int = 0
    mode: str = "stretch"
    iterations: int = 300


@dataclass(frozen=True)
class ImageFeaturesModel:
    """A linear model on descriptions of pictures, and on scaled numbers of the other columns."""

    features: Features
    lines: Lines
    classes: int
    side: int
    labels: bool = False

    def export(self, folder: Path) -> Pipeline:
        lines = self.lines
        (folder / "linear.onnx").write_bytes(linear_model(lines.weights, lines.bias))
        many = lines.weights.shape[1]
        given: dict[str, Any] = {"classes": self.classes, "scale": lines.scale, "shift": lines.shift}
        return answer(self.features, "linear.onnx", many, **given, labels=self.labels)

    def facts(self) -> dict[str, Any]:
        return {"features": self.features.width, "iterations": self.lines.iterations, "side": self.side}


class ImageFeatures:
    """Histograms of edges and colours and a thumbnail of each picture, with logistic or ridge regression."""

    name = "image_features"
    version = 1
    summary = "pictures by histograms of edges and colours, beside other columns, with a linear model"
    options = ImageFeaturesOptions

    def supports(self, problem: Problem) -> Support:
        if problem.task not in ("classify", "regress", "tag"):
            return Support(False, f"it does not learn the task {problem.task}")
        found = bool(pictures(problem))
        return Support(found, "" if found else "none of the input columns is an image")

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        count = len(pictures(problem))
        cells = min(problem.rows * max(count, 1) * WIDTH, MOST_CELLS)
        seconds = 0.2 + problem.rows * count * (DECODING + DESCRIBING) + cells * (1.0 + 2.0 * margins(problem)) / 2e7
        return Cost(seconds=seconds, bytes=12 * cells + 64 * problem.rows)

    def portfolio(self, problem: Problem) -> Sequence[ImageFeaturesOptions]:
        base = ImageFeaturesOptions()
        return (
            base,
            replace(base, strength=0.03),
            replace(base, strength=0.0005),
            replace(base, mode="pad"),
            replace(base, side=SIDES[-1]),
        )

    def settle(self, options: ImageFeaturesOptions, facts: Sequence[dict[str, Any]]) -> ImageFeaturesOptions:
        return replace(options, side=int(np.median([f["side"] for f in facts])))

    def fit(
        self, data: Rows, problem: Problem, options: ImageFeaturesOptions, context: RunContext
    ) -> ImageFeaturesModel:
        hours = Hours(context.seconds)
        data = data.take(np.flatnonzero(data.weights() > 0))
        names = pictures(problem)
        side = options.side or fitting_side(data, names)
        features = unfinished_linear(data, problem, context.seed) if usable(problem) else Features()
        before = features.width
        features.columns = (*names, *features.columns)
        data = enough(data, before + WIDTH * len(names), context.seed)
        scales = [_add_described(features, data, name, side, options.mode) for name in names]
        x = features.finish().matrix(data)
        for i, scale in enumerate(scales):
            scale.apply(x[:, before + i * WIDTH : before + (i + 1) * WIDTH])
        part = Part(x, load("tasks", problem.task).encode(data, problem), data.weights())
        effort = Effort(options.iterations, hours.left(0.9), context.threads)
        penalty, classes = Penalty(0.0, 1.0 / options.strength), len(problem.classes)
        if problem.labels:
            lines = fit_labels(part, penalty, directions(features), effort)
        elif classes:
            lines = fit_classes(part, penalty, directions(features), effort, classes)
        else:
            lines = fit_number(part, penalty, directions(features), effort)
        return ImageFeaturesModel(features, _unscaled(lines, scales, before), classes, side, bool(problem.labels))


def pictures(problem: Problem) -> tuple[str, ...]:
    """The names of the input columns that hold pictures."""
    return tuple(column.name for column in problem.inputs if column.type == "image")


def fitting_side(data: Rows, names: Sequence[str]) -> int:
    """The side of the square at which pictures are looked at: that of small ones, or of larger ones."""
    rows = data.take(np.linspace(0, len(data) - 1, min(LOOKED_AT, len(data))).astype(np.int64))
    sizes = [min(size_of(bytes(cell))) for name in names for cell in rows.batch([name])[name] if cell is not None]
    return SIDES[0] if not sizes or np.median(sizes) <= SMALL else SIDES[1]


@dataclass(frozen=True)
class _Scale:
    """What is taken from each number of a description, and what it is divided by, (`WIDTH`,)."""

    center: np.ndarray
    spread: np.ndarray

    def apply(self, x: np.ndarray) -> None:
        """Scale in place."""
        x -= self.center
        x /= self.spread


def _add_described(features: Features, data: Rows, name: str, side: int, mode: str) -> _Scale:
    """Append the description of a column, missing ones filled with the mean; gives the scale to fit on."""
    source = features.through("describe_image", name, side=side, mode=mode)
    alone = Features([features.steps[-1]], [source], WIDTH, columns=(name,))
    x = alone.finish().matrix(data)
    known = x[~np.isnan(x[:, 0])]
    center = known.mean(axis=0) if len(known) else np.zeros(WIDTH, np.float32)
    spread = known.std(axis=0) if len(known) else np.ones(WIDTH, np.float32)
    center = np.round(center.astype(np.float64), 6).astype(np.float32)
    features.add("impute", source, WIDTH, fill=[float(f"{value:.6g}") for value in center.tolist()])
    spread = np.sqrt(0.5 * spread**2 + 0.5 * np.mean(spread**2) + 1e-8)
    return _Scale(center, spread.astype(np.float32))


def _unscaled(lines: Lines, scales: Sequence[_Scale], before: int) -> Lines:
    """The same lines for descriptions as they are; they come after `before` other features."""
    weights, bias = np.array(lines.weights, dtype=np.float64), np.array(lines.bias, dtype=np.float64)
    for i, scale in enumerate(scales):
        block = slice(before + i * WIDTH, before + (i + 1) * WIDTH)
        weights[block] /= scale.spread[:, None]
        bias = bias - scale.center.astype(np.float64) @ weights[block]
    return replace(lines, weights=weights, bias=bias)
