"""Extremely randomised trees, or a random forest, by scikit-learn, exported as an ONNX tree ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from volant.bind import forest
from volant.bind.boosting import Part
from volant.core.clock import Machine
from volant.core.protocols import Range, Rows, RunContext
from volant.core.records import Cost, Problem, Support
from volant.learners.tabular.boosting import Aim, BoostedModel, Hours, width
from volant.learners.tabular.features import encoded_features, support
from volant.learners.tabular.leaves import LeafModel

EXPORT = 0.6
"""Share of a fit's time that goes into growing; many nodes take their time to be written and read."""


@dataclass(frozen=True)
class ExtraTreesOptions:
    """Options in the field's terms.

    `kind` is `extra` (random thresholds) or `random` (a random forest); `criterion` is `gini` or `log_loss` and
    holds for classes. `smoothing` is how many rows the overall frequencies count for in each leaf. `most_nodes`
    bounds the nodes of all trees together, about 20 bytes each in the file: where it would not hold, each tree
    splits first where it gains most and stops at its share.
    """

    kind: str = "extra"
    criterion: str = "gini"
    trees: int = 120
    min_leaf: int = 1
    column_fraction: float = 1.0
    smoothing: float = 0.1
    most_nodes: int = 300_000


class ExtraTrees:
    """Extremely randomised trees (scikit-learn): many trees with random splits, averaged."""

    name = "extra_trees"
    version = 1
    summary = "extremely randomised trees, or a random forest (scikit-learn)"
    options = ExtraTreesOptions

    def supports(self, problem: Problem) -> Support:
        return support(problem)

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        trees, features = ExtraTreesOptions().trees, width(problem)
        rows = problem.rows
        per_tree = rows * features * np.log2(max(rows, 2)) * 3e-9 + 2e-3
        nodes = min(2 * rows * trees, ExtraTreesOptions().most_nodes)
        seconds = 0.2 + trees * per_tree / max(machine.cores, 1) + nodes * 4e-6
        return Cost(seconds=float(seconds), bytes=rows * features * 8 + nodes * (300 + 8 * len(problem.classes)))

    def portfolio(self, problem: Problem) -> Sequence[ExtraTreesOptions]:
        base = ExtraTreesOptions()
        return (
            base,
            replace(base, min_leaf=8, column_fraction=0.5),
            replace(base, kind="random", min_leaf=2, column_fraction=0.5),
            replace(base, criterion="log_loss", min_leaf=3, column_fraction=0.3),
        )

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "kind": Range(choices=("extra", "random")),
            "min_leaf": Range(1, 20, log=True, whole=True),
            "column_fraction": Range(0.2, 1.0),
            "smoothing": Range(0.02, 1.0, log=True),
        }

    def settle(self, options: ExtraTreesOptions, facts: Sequence[dict[str, Any]]) -> ExtraTreesOptions:
        return options

    def fit(
        self, data: Rows, problem: Problem, options: ExtraTreesOptions, context: RunContext
    ) -> BoostedModel | LeafModel:
        hours = Hours(context.seconds)
        data = data.take(np.flatnonzero(data.weights() > 0))
        features, aim = encoded_features(data, problem, context.seed), Aim.at(data, problem)
        part = aim.part(data, features.train(data))
        part = replace(part, weights=part.weights / part.weights.mean())
        grown = forest.grow(
            options.kind,
            _params(options, problem, len(data), context),
            part,
            classes=len(problem.classes),
            trees=options.trees,
            seconds=hours.left(EXPORT),
            tell=lambda i: context.progress.advance(float(i), f"{i} trees"),
        )
        if not problem.classes:
            return BoostedModel(features, forest.averaged_trees(grown, features.width), aim, {"rounds": len(grown)})
        prior = _frequencies(part, len(problem.classes))
        smooth = [_smoothed(tree, prior, options.smoothing) for tree in grown]
        trees, table = forest.numbered_trees(smooth, features.width)
        return LeafModel(features, trees, table, "", {"trees": len(grown)})


def _params(options: ExtraTreesOptions, problem: Problem, rows: int, context: RunContext) -> dict[str, Any]:
    leaves = max(options.most_nodes // (2 * options.trees), 2)
    params = {
        "min_samples_leaf": options.min_leaf,
        "max_leaf_nodes": leaves if rows > leaves * options.min_leaf else None,
        "max_features": options.column_fraction,
        "bootstrap": options.kind == "random",
        "random_state": context.seed,
        "n_jobs": context.threads,
    }
    return params | ({"criterion": options.criterion} if problem.classes else {})


def _frequencies(part: Part, classes: int) -> np.ndarray:
    """How often each class is, (C,), each as if it had been seen a little."""
    counts = np.bincount(part.y.astype(np.int64), weights=part.weights, minlength=classes) + 1.0 / classes
    return np.asarray(counts / counts.sum())


def _smoothed(tree: forest.Grown, prior: np.ndarray, smoothing: float) -> forest.Grown:
    """The shares of classes in each leaf, as if `smoothing` rows of the overall frequencies lay in it."""
    weight = tree.weight[:, None]
    return replace(tree, values=(tree.values * weight + smoothing * prior) / (weight + smoothing))
