"""LightGBM: training with a deadline, and its trees as ONNX.

The release runs the ONNX form. Features are float32 and thresholds are rounded down to float32, so each
row takes the same branches as in LightGBM; only the sum of the leaves is rounded differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from volant.bind.boosting import Boosted, Deadline, Part, sleep_while_waiting
from volant.bind.onnx import LESS_OR_EQUAL, MEMBER, Trees, floor32

ZERO = 1.0000000180025095e-35
"""Numbers no larger than this, either way, are zero to LightGBM."""
BELOW_ZERO = float(np.nextafter(np.float32(-ZERO), np.float32(-np.inf)))
"""The largest float32 that is below zero to LightGBM."""


def train(
    params: Mapping[str, Any],
    part: Part,
    valid: Part | None,
    *,
    categorical: Sequence[int],
    rounds: int,
    patience: int,
    seconds: float,
    tell: Callable[[int], None] = lambda _: None,
    before: str = "",
) -> Boosted:
    """Boost until `rounds`, until `patience` rounds brought nothing on `valid`, or until `seconds` are over.

    `before` is a booster as text that this one goes on from: its trees come first, and `rounds` counts those after it.
    """
    lgb = _library()
    first = lgb.Booster(model_str=before) if before else None
    data = lgb.Dataset(part.x, part.y, weight=part.weights, categorical_feature=list(categorical), free_raw_data=True)
    sets = [] if valid is None else [lgb.Dataset(valid.x, valid.y, weight=valid.weights, reference=data)]
    deadline = _Deadline(seconds, params.get("learning_rate", 0.1), rounds)
    stops: list[Any] = [deadline, _tell(tell)]
    if valid is not None:
        stops.append(lgb.early_stopping(patience, first_metric_only=True, verbose=False))
    booster = lgb.train(
        {**params, "verbosity": -1},
        data,
        num_boost_round=rounds,
        valid_sets=sets,
        callbacks=stops,
        init_model=first,
    )
    best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    return Boosted(booster, best, booster.current_iteration(), deadline.rate)


def text_of(boosted: Boosted) -> str:
    """The trees of a booster as text, from which another one goes on."""
    return str(boosted.model.model_to_string(num_iteration=boosted.rounds))


def rounds_of(text: str) -> int:
    """Rounds of a booster that is given as text."""
    return int(_library().Booster(model_str=text).current_iteration())


def _library() -> Any:
    """LightGBM, loaded so that its threads sleep while they wait."""
    sleep_while_waiting()
    import lightgbm

    return lightgbm


class _Deadline:
    """A callback that ends boosting in time, and raises the learning rate where there is little of it."""

    order = 40

    def __init__(self, seconds: float, rate: float, rounds: int) -> None:
        self.rate = rate
        self._rounds, self._deadline = rounds, Deadline(seconds)

    def __call__(self, state: Any) -> None:
        if self._deadline.over():
            raise _library().callback.EarlyStopException(state.iteration, state.evaluation_result_list or [])
        faster = self._deadline.rate(self.rate, self._rounds)
        if faster is not None:
            self.rate = faster
            state.model.reset_parameter({"learning_rate": faster})


def _tell(tell: Callable[[int], None]) -> Callable[[Any], None]:
    def say(state: Any) -> None:
        if state.iteration % 10 == 0:
            tell(state.iteration)

    say.order = 50  # type: ignore[attr-defined]
    return say


def trees_of(booster: Any, rounds: int, width: int) -> Trees:
    """The first `rounds` rounds of a booster in the form that ONNX takes."""
    dump = booster.dump_model(num_iteration=rounds)
    classes = int(dump["num_tree_per_iteration"])
    trees = Trees(width=width, targets=classes)
    for place, info in enumerate(dump["tree_info"]):
        _add_tree(trees, info["tree_structure"], place % classes)
    return trees


def add_trees(trees: Trees, booster: Any, rounds: int, *, target: int, share: float) -> None:
    """Append the first `rounds` rounds of a booster of one margin to an ensemble, its leaves times `share`."""
    first = len(trees.leaf_weight)
    for info in booster.dump_model(num_iteration=rounds)["tree_info"]:
        _add_tree(trees, info["tree_structure"], target)
    trees.leaf_weight[first:] = [share * weight for weight in trees.leaf_weight[first:]]


def margins(booster: Any, x: np.ndarray, rounds: int) -> np.ndarray:
    """What the first `rounds` rounds sum up to for rows (n, k): (n,), or (n, C) for several classes."""
    return np.asarray(booster.predict(x, num_iteration=rounds, raw_score=True))


def _add_tree(trees: Trees, root: Mapping[str, Any], target: int) -> None:
    if "split_feature" not in root:
        trees.add_constant(target, float(root["leaf_value"]))
        return
    waiting: list[tuple[Mapping[str, Any], int, bool]] = []
    trees.roots.append(_add_split(trees, root, waiting))
    while waiting:
        child, parent, on_true = waiting.pop()
        is_leaf = "split_feature" not in child
        number = trees.add_leaf(target, float(child["leaf_value"])) if is_leaf else _add_split(trees, child, waiting)
        trees.set_child(parent, on_true, number, is_leaf)


def _add_split(trees: Trees, node: Mapping[str, Any], waiting: list[tuple[Mapping[str, Any], int, bool]]) -> int:
    feature = int(node["split_feature"])
    if node["decision_type"] == "==":
        trees.members.append([float(v) for v in str(node["threshold"]).split("||")])
        number = trees.add_node(feature, MEMBER, 0.0, False)
    else:
        threshold = float(node["threshold"])
        missing_left = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0.0
        split = BELOW_ZERO if -ZERO <= threshold < 0 else floor32(threshold)
        number = trees.add_node(feature, LESS_OR_EQUAL, split, missing_left)
    waiting.append((node["right_child"], number, False))
    waiting.append((node["left_child"], number, True))
    return number
