"""What the learners that boost trees share: the target they aim at, their time, and the model they export."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.boosting import Boosted, Part
from volant.bind.onnx import Trees, trees_model
from volant.core.plugins import load
from volant.core.protocols import Rows
from volant.core.records import Column, Pipeline, Problem
from volant.learners.tabular.features import answer, usable
from volant.learners.tabular.matrix import Features

BOOSTING = 0.75
"""Share of a fit's time that goes into boosting; the trees must be exported and tried as well."""


class Hours:
    """How much of a fit's `seconds` is left; with infinite seconds no clock is read."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started = None if seconds == float("inf") else time.monotonic()

    def left(self, share: float = BOOSTING) -> float:
        """Seconds for the longest part of the work: `share` of those that are left, as the export takes some too."""
        if self._started is None:
            return self._seconds
        return max(share * (self._seconds - time.monotonic() + self._started), 0.05)


@dataclass(frozen=True)
class Aim:
    """What is boosted towards: class indices, a number less `shift` over `scale`, or labels (n, L)."""

    problem: Problem
    shift: float
    scale: float

    @staticmethod
    def at(data: Rows, problem: Problem) -> Aim:
        """The aim of rows: of classes and labels none, of a number its mean and standard deviation."""
        if problem.classes or problem.labels:
            return Aim(problem, 0.0, 1.0)
        target, weights = load("tasks", problem.task).encode(data, problem), data.weights()
        shift = float(np.average(target, weights=weights))
        scale = float(np.sqrt(np.average((target - shift) ** 2, weights=weights))) or 1.0
        return Aim(problem, shift, scale)

    def part(self, data: Rows, matrix: np.ndarray) -> Part:
        """Rows with their matrix, as the libraries take them."""
        target = load("tasks", self.problem.task).encode(data, self.problem)
        return Part(matrix, (target - self.shift) / self.scale, data.weights())

    def held_out(self, rows: Rows | None, features: Features) -> Part | None:
        """The rows for early stopping, where there are any."""
        return None if rows is None or not len(rows) else self.part(rows, features.matrix(rows))


@dataclass(frozen=True)
class BoostedModel:
    """Trees on fitted features, whose leaves add up to margins; `made` tells how.

    `boosted` is the library's own model, where another fit may go on from it.
    """

    features: Features
    trees: Trees
    aim: Aim
    made: Mapping[str, Any]
    boosted: Boosted | None = None

    def export(self, folder: Path) -> Pipeline:
        (folder / "trees.onnx").write_bytes(trees_model(self.trees))
        classes, scale, shift = len(self.aim.problem.classes), self.aim.scale, self.aim.shift
        given: dict[str, Any] = {"classes": classes, "scale": scale, "shift": shift}
        return answer(self.features, "trees.onnx", self.trees.targets, **given, labels=bool(self.aim.problem.labels))

    def facts(self) -> dict[str, Any]:
        return {**self.made, "features": self.features.width, "nodes": len(self.trees.feature)}


def how_made(boosted: Boosted) -> dict[str, Any]:
    """Facts about boosting; `used` is the share of the work after which it was best."""
    used = round(boosted.rounds / max(boosted.tried, 1), 3)
    return {"rounds": boosted.rounds, "learning_rate": boosted.rate, "used": used}


def settled(facts: Sequence[Mapping[str, Any]]) -> int:
    """Rounds of the last fit: it sees more rows than a fold did, so it boosts a little longer than their mean."""
    return max(1, round(float(np.mean([f["rounds"] for f in facts])) * 1.1))


def rate_of(facts: Sequence[Mapping[str, Any]], given: float) -> float:
    """The learning rate of the last fit: that of the folds, where time was short there."""
    return float(np.mean([f.get("learning_rate", given) for f in facts]))


def directions(features: Features) -> list[int]:
    """Per feature 1, -1 or 0: whether predictions must rise with it, fall with it, or may do as they like."""
    return [features.signs.get(place, 0) for place in range(features.width)]


def margins(problem: Problem) -> int:
    """Margins that are learned per row: one for a number or two classes, one for each of more classes or labels."""
    return len(problem.classes) if len(problem.classes) > 2 else max(len(problem.labels), 1)


def least_rows(problem: Problem, most: int) -> int:
    """Rows that a leaf needs at least: `most`, or fewer where the table is small."""
    return most if problem.rows >= 100 * most else max(2, min(most // 2, problem.rows // 50))


def width(problem: Problem) -> int:
    """How many numeric features the columns make, about."""
    return sum(_columns(column) for column in usable(problem))


def _columns(column: Column) -> int:
    return {"timestamp": 8, "text": 64, "category": 3}.get(column.type, 1)


def cannot_split(part: Part) -> bool:
    """Whether nothing can be learned: one target alone, or no feature that differs between rows."""
    if not len(part.y) or (part.y == part.y[0]).all():
        return True
    same = (part.x == part.x[0]) | (np.isnan(part.x) & np.isnan(part.x[0]))
    return bool(same.all())


def flat_trees(part: Part, problem: Problem, width: int) -> Trees:
    """Trees that say the same of each row: the frequencies of the classes, or the mean."""
    trees = Trees(width=width, targets=margins(problem))
    if not problem.classes:
        trees.add_constant(0, float(np.average(part.y, weights=part.weights)))
        return trees
    classes = len(problem.classes)
    counts = np.bincount(part.y.astype(np.int64), weights=part.weights, minlength=classes)
    logs = np.log((counts + 1.0 / classes) / (counts.sum() + 1.0))
    for target, margin in enumerate([logs[1] - logs[0]] if classes == 2 else logs):
        trees.add_constant(target, float(margin))
    return trees
