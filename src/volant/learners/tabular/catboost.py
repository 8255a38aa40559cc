"""Gradient boosted symmetric trees by CatBoost, exported as an ONNX tree ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from volant.bind import catboost
from volant.bind.boosting import Part
from volant.core.clock import Machine
from volant.core.plugins import missing
from volant.core.protocols import Range, Rows, RunContext
from volant.core.records import Cost, Problem, Support
from volant.learners.tabular.boosting import (
    Aim,
    BoostedModel,
    Hours,
    cannot_split,
    directions,
    flat_trees,
    how_made,
    margins,
    settled,
    width,
)
from volant.learners.tabular.features import encoded_features, support
from volant.learners.tabular.leaves import LeafModel
from volant.learners.tabular.matrix import Features

FEW_ROWS = 1_000
"""Rows below which longer steps do as well: a round takes a millisecond or two, however few rows there are."""
ABSENT = -30.0
"""Margin of a class that the training rows do not hold."""


@dataclass(frozen=True)
class CatboostOptions:
    """Options in the library's terms; `rounds` is the most that are boosted, `patience` when to stop."""

    learning_rate: float = 0.08
    depth: int = 6
    l2: float = 3.0
    random_strength: float = 1.0
    bagging_temperature: float = 1.0
    column_fraction: float = 1.0
    borders: int = 128
    rounds: int = 1500
    patience: int = 60


class Catboost:
    """Gradient boosted symmetric trees (CatBoost) with early stopping on held-out rows."""

    name = "catboost"
    version = 1
    summary = "gradient boosted symmetric trees (CatBoost)"
    options = CatboostOptions

    def missing(self) -> str:
        return missing("catboost", "catboost")

    def supports(self, problem: Problem) -> Support:
        return support(problem, monotone=True, missing=self.missing())

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        features = width(problem)
        cells = features * margins(problem)
        per_round = 1.5e-3 + 3e-5 * cells + problem.rows * cells / 2e8
        seconds = 0.3 + 600 * per_round / (1.0 + 0.6 * (max(machine.cores, 1) - 1))
        return Cost(seconds=seconds, bytes=problem.rows * (features * 9 + margins(problem) * 64))

    def portfolio(self, problem: Problem) -> Sequence[CatboostOptions]:
        base = CatboostOptions()
        if margins(problem) > 1:
            base = CatboostOptions(learning_rate=0.15, borders=64, rounds=1000)
        if problem.rows < FEW_ROWS:
            base = replace(base, learning_rate=0.1, rounds=400, patience=40)
        return (
            base,
            replace(base, depth=8, l2=5.0, column_fraction=0.7, borders=254),
            replace(base, depth=4, l2=1.0),
            replace(base, learning_rate=base.learning_rate / 2, depth=7, random_strength=2.0, bagging_temperature=0.3),
        )

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "learning_rate": Range(0.03, 0.15, log=True),
            "depth": Range(4, 9, whole=True),
            "l2": Range(1.0, 20.0, log=True),
            "random_strength": Range(0.3, 4.0, log=True),
            "bagging_temperature": Range(0.0, 1.5),
        }

    def settle(self, options: CatboostOptions, facts: Sequence[dict[str, Any]]) -> CatboostOptions:
        return replace(options, rounds=settled(facts))

    def fit(
        self, data: Rows, problem: Problem, options: CatboostOptions, context: RunContext
    ) -> BoostedModel | LeafModel:
        hours = Hours(context.seconds)
        data = data.take(np.flatnonzero(data.weights() > 0))
        features, aim = encoded_features(data, problem, context.seed), Aim.at(data, problem)
        part = aim.part(data, features.train(data))
        if cannot_split(part):
            return BoostedModel(features, flat_trees(part, problem, features.width), aim, {"rounds": 1})
        present = np.unique(part.y) if problem.classes else np.empty(0)
        valid = aim.held_out(context.validation, features)
        made = catboost.train(
            _params(options, len(present), context) | _constraints(features),
            _among(part, present),
            None if valid is None else _among(valid, present),
            rounds=options.rounds,
            patience=options.patience,
            seconds=hours.left(),
            tell=lambda i: context.progress.advance(float(i), f"{i} rounds"),
        )
        forest = catboost.forest_of(made.model)
        if margins(problem) == 1:
            return BoostedModel(features, catboost.summed_trees(forest, features.width), aim, how_made(made))
        return _of_classes(features, forest, present, how_made(made), problem)


def _among(part: Part, present: np.ndarray) -> Part | None:
    """A part with its classes numbered among those `present`; rows of other classes are left out."""
    if not len(present):
        return part
    known = np.isin(part.y, present)
    if not known.any():
        return None
    return Part(part.x[known], np.searchsorted(present, part.y[known]), part.weights[known])


def _of_classes(
    features: Features, forest: catboost.Forest, present: np.ndarray, made: Mapping[str, Any], problem: Problem
) -> LeafModel:
    trees, table = catboost.numbered_trees(forest, features.width)
    if table.shape[1] == 1:
        table = np.hstack([-table / 2, table / 2])
    full = np.zeros((len(table), len(problem.classes)), dtype=np.float32)
    full[0] = ABSENT
    full[:, present.astype(np.int64)] = table
    return LeafModel(features, trees, full, "softmax", made)


def _constraints(features: Features) -> dict[str, Any]:
    signs = directions(features)
    return {"monotone_constraints": signs} if any(signs) else {}


def _params(options: CatboostOptions, present: int, context: RunContext) -> dict[str, Any]:
    return {
        "loss_function": "RMSE" if not present else "Logloss" if present == 2 else "MultiClass",
        "learning_rate": options.learning_rate,
        "depth": options.depth,
        "l2_leaf_reg": options.l2,
        "random_strength": options.random_strength,
        "bootstrap_type": "Bayesian",
        "bagging_temperature": options.bagging_temperature,
        "rsm": options.column_fraction,
        "border_count": options.borders,
        "random_seed": context.seed,
        "thread_count": context.threads,
    }
