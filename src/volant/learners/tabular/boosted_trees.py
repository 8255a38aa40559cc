"""Gradient boosted trees by LightGBM, exported as one ONNX tree ensemble."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind import lightgbm
from volant.bind.boosting import Part
from volant.bind.onnx import Trees
from volant.core.clock import Machine
from volant.core.protocols import Earlier, Rows, RunContext
from volant.core.records import Cost, Problem, Support
from volant.learners.lines import margin_of
from volant.learners.tabular.boosting import Aim, BoostedModel, Hours, directions, how_made, margins, rate_of, settled
from volant.learners.tabular.features import support, tree_features, usable
from volant.learners.tabular.matrix import Features

LEAST_MORE = 20
"""Rounds by which trees may grow when they go on, at the least; else half of those that there are."""

LEAST_SAID = 2
"""Rows on each side, about, below which a label is as frequent as it is, whatever the features."""
LABEL_ROUNDS = 400
"""Rounds for a label that nothing stops in time: labels are many, and held-out rows stop most of them far earlier."""


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


class BoostedTrees:
    """Gradient boosted decision trees (LightGBM) with early stopping on held-out rows."""

    name = "boosted_trees"
    restarts = True
    version = 1
    summary = "gradient boosted decision trees (LightGBM)"
    options = BoostedTreesOptions
    ways = ("warm",)

    def supports(self, problem: Problem) -> Support:
        return support(problem, monotone=True, labels=True)

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        width = sum(8 if c.type == "timestamp" else 4 if c.type == "text" else 1 for c in usable(problem))
        many = margins(problem)
        seconds = 0.1 + 400 * many * (problem.rows * width / 5e8 + 6e-4) / max(machine.cores, 1)
        return Cost(seconds=seconds, bytes=problem.rows * width * 8 + problem.rows * many * 24)

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
        return replace(options, rounds=settled(facts), learning_rate=rate_of(facts, options.learning_rate))

    def fit(self, data: Rows, problem: Problem, options: BoostedTreesOptions, context: RunContext) -> BoostedModel:
        hours = Hours(context.seconds)
        data = data.take(np.flatnonzero(data.weights() > 0))
        features, aim = tree_features(data, problem, context.seed), Aim.at(data, problem)
        if problem.labels:
            return _of_labels(data, features, aim, options, context)
        made = lightgbm.train(
            _params(options, problem, context) | _constraints(features),
            aim.part(data, features.matrix(data)),
            aim.held_out(context.validation, features),
            categorical=features.categorical,
            rounds=options.rounds,
            patience=options.patience,
            seconds=hours.left(),
            tell=lambda i: context.progress.advance(float(i), f"{i} rounds"),
        )
        trees = lightgbm.trees_of(made.model, made.rounds, features.width)
        return BoostedModel(features, trees, aim, how_made(made), made)

    def keep(self, model: BoostedModel, folder: Path) -> None:
        assert model.boosted is not None
        (folder / "trees.txt").write_text(lightgbm.text_of(model.boosted))
        about = {"features": model.features.record(), "shift": model.aim.shift, "scale": model.aim.scale}
        (folder / "trees.json").write_text(json.dumps(about))

    def resume(
        self, earlier: Earlier, data: Rows, problem: Problem, options: BoostedTreesOptions, context: RunContext
    ) -> BoostedModel:
        """Trees that are there stay as they are; more of them follow, for what they get wrong by now."""
        hours = Hours(context.seconds)
        data = data.take(np.flatnonzero(data.weights() > 0))
        about = json.loads((earlier.folder / "trees.json").read_bytes())
        before = (earlier.folder / "trees.txt").read_text()
        features = Features.of(earlier.pipeline, about["features"])
        aim, known = Aim(problem, about["shift"], about["scale"]), lightgbm.rounds_of(before)
        made = lightgbm.train(
            _params(options, problem, context) | _constraints(features),
            aim.part(data, features.matrix(data)),
            aim.held_out(context.validation, features),
            categorical=features.categorical,
            rounds=min(options.rounds, max(known // 2, LEAST_MORE)),
            patience=options.patience,
            seconds=hours.left(),
            tell=lambda i: context.progress.advance(float(i), f"{i} rounds"),
            before=before,
        )
        trees = lightgbm.trees_of(made.model, made.rounds, features.width)
        facts = {**how_made(made), "rounds": max(made.rounds - known, 1)}
        return BoostedModel(features, trees, aim, facts, made)


def _of_labels(
    data: Rows, features: Features, aim: Aim, options: BoostedTreesOptions, context: RunContext
) -> BoostedModel:
    """Trees for each label on the same features, of the rows that somebody has said it of, in one ensemble."""
    hours, problem = Hours(context.seconds), aim.problem
    part, judges = aim.part(data, features.matrix(data)), aim.held_out(context.validation, features)
    trees = Trees(width=features.width, targets=len(problem.labels))
    told: list[dict[str, Any]] = []
    for place, name in enumerate(problem.labels):
        one, valid = _said(part, place), None if judges is None else _said(judges, place)
        valid = valid if valid is not None and len(np.unique(valid.y)) == 2 else None
        if len(one.y) < 2 * LEAST_SAID or len(np.unique(one.y)) < 2:
            trees.add_constant(place, margin_of(one.y, one.weights))
            continue
        made = lightgbm.train(
            _params(options, problem, context) | _constraints(features),
            one,
            valid,
            categorical=features.categorical,
            rounds=options.rounds if valid is None else min(options.rounds, LABEL_ROUNDS),
            patience=options.patience,
            seconds=hours.left() / (len(problem.labels) - place),
            tell=lambda i, name=name: context.progress.advance(float(i), f"{name}: {i} rounds"),  # type: ignore[misc]
        )
        lightgbm.add_trees(trees, made.model, made.rounds, target=place, share=1.0)
        told.append(how_made(made))
    means = {key: float(np.mean([one[key] for one in told])) for key in told[0]} if told else {"rounds": 1.0}
    return BoostedModel(features, trees, aim, {**means, "rounds": max(round(means["rounds"]), 1)})


def _said(part: Part, place: int) -> Part:
    """The rows that somebody has said a label of."""
    known = np.flatnonzero(part.y[:, place] >= 0)
    return Part(part.x[known], part.y[known, place], part.weights[known])


def _constraints(features: Features) -> dict[str, Any]:
    """The library's basic method, the only one that keeps its promise everywhere."""
    signs = directions(features)
    return {"monotone_constraints": signs, "monotone_constraints_method": "basic"} if any(signs) else {}


def _params(options: BoostedTreesOptions, problem: Problem, context: RunContext) -> dict[str, Any]:
    classes = len(problem.classes)
    params: dict[str, Any] = {
        "objective": "binary" if classes == 2 or problem.labels else "multiclass" if classes else "regression",
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
