"""XGBoost: training with a deadline, and its trees as ONNX.

XGBoost compares float32 with float32 (`x < split` goes left), which ONNX does too, so each row takes the
same branches; only the sum of the leaves may be rounded differently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from volant.bind.boosting import Boosted, Deadline, Part, sleep_while_waiting
from volant.bind.onnx import LESS, Trees


def train(
    params: Mapping[str, Any],
    part: Part,
    valid: Part | None,
    *,
    rounds: int,
    patience: int,
    seconds: float,
    tell: Callable[[int], None] = lambda _: None,
) -> Boosted:
    """Boost until `rounds`, until `patience` rounds brought nothing on `valid`, or until `seconds` are over."""
    sleep_while_waiting()
    import xgboost as xgb

    shape = {"nthread": params.get("nthread", 1), "max_bin": params.get("max_bin", 256)}
    data = xgb.QuantileDMatrix(part.x, part.y, weight=part.weights, **shape)
    evals: list[Any] = []
    watch = _watch(xgb, Deadline(seconds), params.get("learning_rate", 0.3), rounds, tell)
    stops: list[Any] = [watch]
    if valid is not None:
        evals = [(xgb.QuantileDMatrix(valid.x, valid.y, weight=valid.weights, ref=data, **shape), "valid")]
        stops.append(xgb.callback.EarlyStopping(rounds=patience))
    fixed = {"tree_method": "hist", "verbosity": 0}
    booster = xgb.train(
        {**params, **fixed}, data, num_boost_round=rounds, evals=evals, callbacks=stops, verbose_eval=False
    )
    best = booster.best_iteration + 1 if valid is not None else booster.num_boosted_rounds()
    return Boosted(booster, int(best), booster.num_boosted_rounds(), watch.rate)


def _watch(xgb: Any, deadline: Deadline, given: float, rounds: int, tell: Callable[[int], None]) -> Any:
    """A callback that ends boosting in time, and raises the learning rate where there is little of it."""

    class Watch(xgb.callback.TrainingCallback):  # type: ignore[misc]
        rate = given

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if epoch % 10 == 0:
                tell(epoch)
            over, faster = deadline.over(), deadline.rate(self.rate, rounds)
            if faster is not None:
                self.rate = faster
                model.set_param("learning_rate", faster)
            return over

    return Watch()


def trees_of(booster: Any, rounds: int, width: int) -> Trees:
    """The first `rounds` rounds of a booster in the form that ONNX takes, its base score as trees of their own."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    base = _base(learner)
    trees = Trees(width=width, targets=len(base))
    for target, margin in enumerate(base):
        trees.add_constant(target, margin)
    model = learner["gradient_booster"]["model"]
    end = model["iteration_indptr"][rounds]
    for tree, target in zip(model["trees"][:end], model["tree_info"][:end], strict=True):
        _add_tree(trees, tree, int(target))
    return trees


def _base(learner: Mapping[str, Any]) -> list[float]:
    """The margin of each target before the first tree."""
    params = learner["learner_model_param"]
    scores = np.atleast_1d(np.asarray(json.loads(params["base_score"]), dtype=np.float32))
    targets = max(int(params["num_class"]), int(params["num_target"]), 1)
    scores = np.broadcast_to(scores, (targets,)) if len(scores) == 1 else scores
    if learner["objective"]["name"] == "binary:logistic":
        scores = -np.log(np.float32(1) / scores - np.float32(1))
    return [float(score) for score in scores]


def _add_tree(trees: Trees, tree: Mapping[str, Sequence[Any]], target: int) -> None:
    left, right, splits = tree["left_children"], tree["right_children"], tree["split_conditions"]
    if left[0] == -1:
        trees.add_constant(target, float(splits[0]))
        return
    numbers: list[int] = []
    for place, child in enumerate(left):
        if child == -1:
            numbers.append(trees.add_leaf(target, float(splits[place])))
        else:
            missing_left = bool(tree["default_left"][place])
            numbers.append(trees.add_node(int(tree["split_indices"][place]), LESS, float(splits[place]), missing_left))
    trees.roots.append(numbers[0])
    for place, child in enumerate(left):
        if child != -1:
            for on_true, below in ((True, child), (False, right[place])):
                trees.set_child(numbers[place], on_true, numbers[below], left[below] == -1)
