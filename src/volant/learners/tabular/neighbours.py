"""The nearest rows and what they say: an exact search over scaled features, run by the runtime itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.boosting import Part
from volant.core.clock import Machine
from volant.core.protocols import Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Step, Support
from volant.learners.tabular.boosting import Aim
from volant.learners.tabular.features import linear_features, support, usable
from volant.learners.tabular.matrix import Features

MOST_ROWS = 30_000
"""Rows that are kept, drawn by the seed: each prediction looks at all of them."""
MOST_CELLS = 2_000_000
"""Numbers that are kept, 8 MB: where there are many columns fewer rows stay."""
LEAST_ROWS = 500
FEWER = 0.9
"""Share of the rows that must be left for equal ones to be put together."""
BINS = 16
"""Parts into which a column is cut to see what it tells of the target."""
LEAST_RELEVANCE = 1e-3
FAR = 1e9
PAIRS = 6e7
"""Pairs of rows that one core compares in a second, about."""


@dataclass(frozen=True)
class NeighboursOptions:
    """`sharpness` says how quickly a row counts less with its squared distance, relative to the farthest neighbour.

    `smoothing` is how many neighbours the overall frequencies or the mean count for. `relevance` says how much more
    a column counts in a distance that tells more of the target by itself; with 0 all count alike.
    """

    neighbours: int = 15
    sharpness: float = 3.0
    smoothing: float = 0.1
    relevance: float = 1.2
    most_rows: int = MOST_ROWS


@dataclass(frozen=True)
class NeighboursModel:
    """Rows on fitted features, stretched by `stretch` (k,): `arrays` and `params` are those of the step `nearest`."""

    features: Features
    stretch: np.ndarray
    arrays: dict[str, np.ndarray]
    params: dict[str, Any]
    aim: Aim

    def export(self, folder: Path) -> Pipeline:
        from safetensors.numpy import save_file

        save_file(self.arrays, folder / "rows.safetensors")
        output = "probability" if self.aim.problem.classes else "mean"
        spread = {"center": [0.0] * len(self.stretch), "spread": (1.0 / self.stretch).tolist(), "clip": FAR}
        steps = [
            *self.features.steps,
            Step("scale", ("matrix",), "stretched", spread),
            Step("nearest", ("stretched",), output, self.params, "rows.safetensors"),
        ]
        if self.aim.problem.classes:
            return Pipeline(tuple(steps), {output: output})
        steps.append(Step("first", (output,), "value", {"scale": self.aim.scale, "shift": self.aim.shift}))
        return Pipeline(tuple(steps), {"value": "value"})

    def facts(self) -> dict[str, Any]:
        return {"rows": len(self.arrays["rows"]), "features": self.features.width}


class Neighbours:
    """K nearest neighbours on scaled and one-hot features, near rows counting more."""

    name = "neighbours"
    version = 1
    summary = "k nearest neighbours on scaled and one-hot features"
    options = NeighboursOptions

    def supports(self, problem: Problem) -> Support:
        return support(problem)

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        width = sum(768 if c.type == "text" else 10 if c.type == "category" else 2 for c in usable(problem))
        kept = min(problem.rows, MOST_ROWS, max(MOST_CELLS // max(width, 1), LEAST_ROWS))
        seconds = 0.1 + problem.rows * width / 5e7 + 0.3 * problem.rows * kept / PAIRS
        return Cost(seconds=seconds, bytes=problem.rows * width * 12 + 64 * 1024**2)

    def portfolio(self, problem: Problem) -> Sequence[NeighboursOptions]:
        base = NeighboursOptions()
        return (
            base,
            replace(base, neighbours=30, sharpness=5.0, relevance=0.8),
            replace(base, neighbours=12, sharpness=2.0, relevance=1.8),
            replace(base, neighbours=100, sharpness=5.0, smoothing=0.3),
        )

    def settle(self, options: NeighboursOptions, facts: Sequence[dict[str, Any]]) -> NeighboursOptions:
        return options

    def fit(self, data: Rows, problem: Problem, options: NeighboursOptions, context: RunContext) -> NeighboursModel:
        data = data.take(np.flatnonzero(data.weights() > 0))
        features, aim = linear_features(data, problem, paired=False), Aim.at(data, problem)
        whole = aim.part(data, np.empty((len(data), 0)))
        part = aim.part(kept := _kept(data, features.width, options, context), features.matrix(kept))
        stretch = _stretch(part, len(problem.classes), options.relevance)
        arrays = {
            "rows": np.ascontiguousarray(part.x * stretch, dtype=np.float32),
            "weight": (part.weights / part.weights.mean()).astype(np.float32),
        }
        if problem.classes:
            arrays["place"] = part.y.astype(np.int32)
            prior = np.bincount(whole.y.astype(np.int64), weights=whole.weights, minlength=len(problem.classes))
            prior = prior + 1.0 / len(problem.classes)
            prior = prior / prior.sum()
        else:
            arrays["value"], prior = part.y.astype(np.float32), np.zeros(1)
        arrays = _merged(arrays)
        params = {
            "neighbours": options.neighbours,
            "sharpness": options.sharpness,
            "smoothing": options.smoothing,
            "prior": prior.tolist(),
        }
        return NeighboursModel(features, stretch, arrays, params, aim)


def _merged(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Equal rows that say the same as one, which counts as often; as they are where few are equal.

    A row with thousands of copies would have them all for its neighbours.
    """
    alike = arrays["rows"] + 0.0
    if "place" in arrays:
        alike = np.concatenate([alike, arrays["place"][:, None].astype(np.float32)], axis=1)
    alike = np.ascontiguousarray(alike).view(f"V{4 * alike.shape[1]}").ravel()
    _, first, which, copies = np.unique(alike, return_index=True, return_inverse=True, return_counts=True)
    if len(first) > FEWER * len(alike):
        return arrays
    weight = np.bincount(which, arrays["weight"])
    merged = {name: values[first] for name, values in arrays.items()}
    if "value" in arrays:
        merged["value"] = (np.bincount(which, arrays["weight"] * arrays["value"]) / weight).astype(np.float32)
    return {**merged, "weight": weight.astype(np.float32), "copies": copies.astype(np.int32)}


def _stretch(part: Part, classes: int, relevance: float) -> np.ndarray:
    """How much each column counts in a distance, (k,): the root of its relevance, relative to the largest."""
    told = np.array([_told(column, part, classes) for column in part.x.T])
    largest = told.max(initial=0.0)
    share = told / largest if largest > 0 else np.ones(len(told))
    return np.maximum(share, LEAST_RELEVANCE) ** (relevance / 2)


def _told(column: np.ndarray, part: Part, classes: int) -> float:
    """The share of the target's variance that the column explains by itself, cut into `BINS` parts, chance taken off.

    Source: Goodman and Kruskal, Measures of Association for Cross Classifications (1954), tau; for numbers the
    correlation ratio.
    """
    edges = np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, column, side="right")
    weights = part.weights / part.weights.sum()
    size, width = len(edges) + 1, max(classes, 1)
    target = np.eye(classes)[part.y.astype(np.int64)] if classes else part.y[:, None]
    mass = np.maximum(np.bincount(bins, weights, minlength=size), 1e-12)
    sums = np.stack([np.bincount(bins, weights * target[:, i], minlength=size) for i in range(width)], axis=1)
    mean = weights @ target
    whole = float((weights @ (target - mean) ** 2).sum())
    between = float((mass[:, None] * (sums / mass[:, None] - mean) ** 2).sum())
    return max(between / whole - (size - 1) / len(column), 0.0) if whole > 0 else 0.0


def _kept(data: Rows, width: int, options: NeighboursOptions, context: RunContext) -> Rows:
    """The rows that are kept: fewer where they have many columns, or where looking at all would take too long."""
    most = min(options.most_rows, max(MOST_CELLS // max(width, 1), LEAST_ROWS))
    if context.seconds != float("inf"):
        asked = max(len(context.validation) if context.validation is not None else 0, 1_000)
        most = min(most, max(int(0.5 * context.seconds * PAIRS / asked), LEAST_ROWS))
    if len(data) <= most:
        return data
    return data.take(np.sort(np.random.default_rng(context.seed).choice(len(data), most, replace=False)))
