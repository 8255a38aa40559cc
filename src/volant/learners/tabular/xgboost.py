"""Gradient boosted trees by XGBoost, exported as one ONNX tree ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from volant.bind import xgboost
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
    rate_of,
    settled,
    width,
)
from volant.learners.tabular.features import encoded_features, support
from volant.learners.tabular.matrix import Features

FEW_ROWS = 1_000
"""Rows below which fewer rounds do: a round takes its time, however few rows there are."""


@dataclass(frozen=True)
class XgboostOptions:
    """Options in the library's terms; `rounds` is the most that are boosted, `patience` when to stop."""

    learning_rate: float = 0.05
    depth: int = 6
    min_child_weight: float = 1.0
    subsample: float = 0.8
    column_fraction: float = 0.6
    l1: float = 0.0
    l2: float = 1.0
    gamma: float = 0.0
    bins: int = 256
    rounds: int = 3000
    patience: int = 60


class Xgboost:
    """Gradient boosted decision trees (XGBoost) with early stopping on held-out rows."""

    name = "xgboost"
    restarts = True
    version = 1
    summary = "gradient boosted decision trees (XGBoost)"
    options = XgboostOptions

    def missing(self) -> str:
        return missing("xgboost", "xgboost")

    def supports(self, problem: Problem) -> Support:
        return support(problem, monotone=True, missing=self.missing())

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        features = width(problem)
        per_round = problem.rows * features / 2.5e8 + 6e-4
        seconds = 0.2 + 400 * margins(problem) * per_round / max(machine.cores, 1)
        return Cost(seconds=seconds, bytes=problem.rows * (features * 10 + margins(problem) * 24))

    def portfolio(self, problem: Problem) -> Sequence[XgboostOptions]:
        base = XgboostOptions() if problem.rows >= FEW_ROWS else XgboostOptions(rounds=800, patience=40)
        return (
            base,
            replace(base, learning_rate=0.03, depth=8, min_child_weight=5.0, column_fraction=0.4),
            replace(base, depth=4, l2=3.0),
            replace(base, learning_rate=0.03, depth=10, min_child_weight=2.0, gamma=0.1, subsample=0.6),
        )

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "learning_rate": Range(0.02, 0.1, log=True),
            "depth": Range(3, 10, whole=True),
            "min_child_weight": Range(0.5, 20.0, log=True),
            "subsample": Range(0.5, 1.0),
            "column_fraction": Range(0.2, 1.0),
            "l2": Range(0.1, 20.0, log=True),
        }

    def settle(self, options: XgboostOptions, facts: Sequence[dict[str, Any]]) -> XgboostOptions:
        return replace(options, rounds=settled(facts), learning_rate=rate_of(facts, options.learning_rate))

    def fit(self, data: Rows, problem: Problem, options: XgboostOptions, context: RunContext) -> BoostedModel:
        hours = Hours(context.seconds)
        data = data.take(np.flatnonzero(data.weights() > 0))
        features, aim = encoded_features(data, problem, context.seed), Aim.at(data, problem)
        part = aim.part(data, features.train(data))
        if cannot_split(part):
            return BoostedModel(features, flat_trees(part, problem, features.width), aim, {"rounds": 1})
        made = xgboost.train(
            _params(options, problem, context) | _constraints(features),
            part,
            aim.held_out(context.validation, features),
            rounds=options.rounds,
            patience=options.patience,
            seconds=hours.left(),
            tell=lambda i: context.progress.advance(float(i), f"{i} rounds"),
        )
        trees = xgboost.trees_of(made.model, made.rounds, features.width)
        return BoostedModel(features, trees, aim, how_made(made))


def _constraints(features: Features) -> dict[str, Any]:
    signs = directions(features)
    return {"monotone_constraints": f"({','.join(str(s) for s in signs)})"} if any(signs) else {}


def _params(options: XgboostOptions, problem: Problem, context: RunContext) -> dict[str, Any]:
    classes = len(problem.classes)
    objective = "reg:squarederror" if not classes else "binary:logistic" if classes == 2 else "multi:softprob"
    params = {
        "objective": objective,
        "eval_metric": "rmse" if not classes else "logloss" if classes == 2 else "mlogloss",
        "learning_rate": options.learning_rate,
        "max_depth": options.depth,
        "min_child_weight": options.min_child_weight,
        "subsample": options.subsample,
        "colsample_bynode": options.column_fraction,
        "reg_alpha": options.l1,
        "reg_lambda": options.l2,
        "gamma": options.gamma,
        "max_bin": options.bins,
        "seed": context.seed,
        "nthread": context.threads,
    }
    return params | ({"num_class": classes} if classes > 2 else {})
