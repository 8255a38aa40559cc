"""Gradient boosted trees by LightGBM, exported as one ONNX tree ensemble."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind import lightgbm
from volant.bind.onnx import Trees, trees_model
from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.protocols import Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Support
from volant.learners.tabular.features import Features, answer, support, tree_features, usable

BOOSTING = 0.75
"""Share of a fit's time that goes into boosting; the trees must be exported and tried as well."""


@dataclass(frozen=True)
class BoostedTreesOptions:
    """Options in the field's terms; `rounds` is the most that are boosted, `patience` when to stop."""

    learning_rate: float = 0.05
    leaves: int = 24
    min_leaf: int = 20
    feature_fraction: float = 0.5
    bagging_fraction: float = 1.0
    l2: float = 0.0
    cat_smooth: float = 20.0
    extra: bool = False
    bins: int = 1023
    rounds: int = 3000
    patience: int = 60


@dataclass(frozen=True)
class BoostedTreesModel:
    """Trees on fitted features."""

    features: Features
    trees: Trees
    rounds: int
    classes: int
    shift: float
    scale: float

    def export(self, folder: Path) -> Pipeline:
        (folder / "trees.onnx").write_bytes(trees_model(self.trees))
        return answer(
            self.features, "trees.onnx", self.trees.targets, classes=self.classes, scale=self.scale, shift=self.shift
        )

    def facts(self) -> dict[str, Any]:
        return {"rounds": self.rounds, "features": self.features.width, "nodes": len(self.trees.feature)}


class BoostedTrees:
    """Gradient boosted decision trees (LightGBM) with early stopping on held-out rows."""

    name = "boosted_trees"
    version = 1
    summary = "gradient boosted decision trees (LightGBM)"
    options = BoostedTreesOptions

    def supports(self, problem: Problem) -> Support:
        return support(problem)

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        width = sum(8 if c.type == "timestamp" else 4 if c.type == "text" else 1 for c in usable(problem))
        margins = len(problem.classes) if len(problem.classes) > 2 else 1
        seconds = 0.1 + 200 * margins * (problem.rows * width / 2.5e8 + 4e-4) / max(machine.cores, 1) * 2
        return Cost(seconds=seconds, bytes=problem.rows * width * 8 + problem.rows * margins * 24)

    def portfolio(self, problem: Problem) -> Sequence[BoostedTreesOptions]:
        least = 20 if problem.rows >= 2_000 else max(2, min(10, problem.rows // 50))
        base = BoostedTreesOptions(min_leaf=least, bins=1023 if problem.rows <= 200_000 else 255)
        return (
            base,
            replace(base, learning_rate=0.03, leaves=64, min_leaf=2 * least, bagging_fraction=0.9, l2=5.0),
            replace(base, leaves=8, l2=3.0),
            replace(base, leaves=48, extra=True, feature_fraction=0.9, bagging_fraction=0.9),
            replace(base, learning_rate=0.03, leaves=15, feature_fraction=0.3, cat_smooth=40.0, l2=10.0),
        )

    def settle(self, options: BoostedTreesOptions, facts: Sequence[dict[str, Any]]) -> BoostedTreesOptions:
        """The final fit sees more rows than a fold did, so it boosts a little longer than the folds' mean."""
        rounds = float(np.mean([f["rounds"] for f in facts]))
        return replace(options, rounds=max(1, round(rounds * 1.1)))

    def fit(self, data: Rows, problem: Problem, options: BoostedTreesOptions, context: RunContext) -> BoostedTreesModel:
        started = None if context.seconds == float("inf") else time.monotonic()
        data = data.take(np.flatnonzero(data.weights() > 0))
        features = tree_features(data, problem)
        target = load("tasks", problem.task).encode(data, problem)
        shift, scale = _location(target, data.weights(), problem)
        part = lightgbm.Part(features.matrix(data), (target - shift) / scale if scale else target, data.weights())
        booster, rounds = lightgbm.train(
            _params(options, problem, context),
            part,
            _validation(features, problem, context, shift, scale),
            categorical=features.categorical,
            rounds=options.rounds,
            patience=options.patience,
            seconds=_left(context.seconds, started),
            tell=lambda i: context.progress.advance(float(i), f"{i} rounds"),
        )
        trees = lightgbm.trees_of(booster, rounds, features.width)
        return BoostedTreesModel(features, trees, rounds, len(problem.classes), shift, scale or 1.0)


def _left(seconds: float, started: float | None) -> float:
    """Seconds for boosting, of those that the whole fit may take: a part is kept for the export."""
    return seconds if started is None else max(BOOSTING * (seconds - time.monotonic() + started), 0.05)


def _location(target: np.ndarray, weights: np.ndarray, problem: Problem) -> tuple[float, float]:
    if problem.classes:
        return 0.0, 0.0
    shift = float(np.average(target, weights=weights))
    return shift, float(np.sqrt(np.average((target - shift) ** 2, weights=weights))) or 1.0


def _validation(
    features: Features, problem: Problem, context: RunContext, shift: float, scale: float
) -> lightgbm.Part | None:
    rows = context.validation
    if rows is None or not len(rows):
        return None
    target = load("tasks", problem.task).encode(rows, problem)
    return lightgbm.Part(features.matrix(rows), (target - shift) / scale if scale else target, rows.weights())


def _params(options: BoostedTreesOptions, problem: Problem, context: RunContext) -> dict[str, Any]:
    classes = len(problem.classes)
    params: dict[str, Any] = {
        "objective": "regression" if not classes else "binary" if classes == 2 else "multiclass",
        "learning_rate": options.learning_rate,
        "num_leaves": options.leaves,
        "min_data_in_leaf": options.min_leaf,
        "feature_fraction": options.feature_fraction,
        "bagging_fraction": options.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": options.l2,
        "cat_smooth": options.cat_smooth,
        "extra_trees": options.extra,
        "max_bin": options.bins,
        "min_data_in_bin": 1 if options.bins > 255 else 3,
        "seed": context.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": context.threads,
        "feature_pre_filter": False,
    }
    if classes > 2:
        params["num_class"] = classes
    return params
