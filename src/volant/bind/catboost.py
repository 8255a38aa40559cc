"""CatBoost on numbers: training with a deadline, and its symmetric trees as ONNX.

CatBoost compares float32 numbers with float32 borders (`x > border`), which ONNX does too, so each row ends
in the same leaves; only their sum may be rounded differently.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.boosting import Boosted, Deadline, Part, sleep_while_waiting
from volant.bind.onnx import LESS_OR_EQUAL, Trees


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
    """Boost until `rounds`, until `patience` rounds brought nothing on `valid`, or until `seconds` are over.

    The model is cut to the best round. Where nothing limits the time, nobody is told of the rounds: the library
    gathers all it has measured so far for each call.
    """
    sleep_while_waiting()
    import catboost

    quiet = {"allow_writing_files": False, "logging_level": "Silent"}
    measured = f"{params['loss_function']}:hints=skip_train~true"
    model = catboost.CatBoost({**params, **quiet, "eval_metric": measured, "iterations": rounds})
    stops: dict[str, Any] = {}
    if valid is not None:
        held_out = catboost.Pool(valid.x, valid.y, weight=valid.weights)
        stops = {"eval_set": held_out, "early_stopping_rounds": patience, "use_best_model": True}
    watch = None if seconds == float("inf") else _Watch(Deadline(seconds), tell)
    model.fit(
        catboost.Pool(part.x, part.y, weight=part.weights),
        callbacks=None if watch is None else [watch],
        **stops,
    )
    best = int(model.tree_count_)
    return Boosted(model, best, rounds if watch is None else max(watch.tried, best), params.get("learning_rate", 0.03))


@dataclass
class _Watch:
    deadline: Deadline
    tell: Callable[[int], None]
    tried: int = 0

    def after_iteration(self, info: Any) -> bool:
        """Whether to go on; CatBoost calls this after each round."""
        self.tried = info.iteration + 1
        if info.iteration % 10 == 0:
            self.tell(info.iteration)
        return not self.deadline.over()


@dataclass(frozen=True)
class Split:
    """A condition that a whole level of a symmetric tree shares: `feature` above `border`, or missing if so said."""

    feature: int
    border: float
    missing_above: bool


@dataclass(frozen=True)
class Symmetric:
    """A symmetric tree. Bit i of a leaf's place tells whether `splits[i]` holds; `leaves` is (2 ** depth, k)."""

    splits: tuple[Split, ...]
    leaves: np.ndarray


@dataclass(frozen=True)
class Forest:
    """Symmetric trees whose leaves add up to k margins, with the margins (k,) that all rows begin with."""

    trees: tuple[Symmetric, ...]
    bias: np.ndarray


def forest_of(model: Any) -> Forest:
    """The trees of a fitted model of numeric features."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.json"
        model.save_model(str(path), format="json")
        record = json.loads(path.read_bytes())
    scale, bias = record["scale_and_bias"]
    features = {f["feature_index"]: f for f in record["features_info"]["float_features"]}
    trees = tuple(_symmetric(tree, features, float(scale), len(bias)) for tree in record["oblivious_trees"])
    return Forest(trees, np.asarray(bias, dtype=np.float64))


def _symmetric(tree: Mapping[str, Any], features: Mapping[int, Any], scale: float, margins: int) -> Symmetric:
    splits = []
    for split in tree["splits"] or ():
        feature = features[split["float_feature_index"]]
        above = feature["nan_value_treatment"] == "AsTrue"
        splits.append(Split(int(feature["flat_feature_index"]), float(split["border"]), above))
    leaves = np.asarray(tree["leaf_values"], dtype=np.float64).reshape(2 ** len(splits), margins)
    return Symmetric(tuple(splits), leaves * scale)


def summed_trees(forest: Forest, width: int) -> Trees:
    """Trees whose leaves add up to the one margin of a forest."""
    trees = Trees(width=width, targets=1)
    trees.add_constant(0, float(forest.bias[0]))
    for tree in forest.trees:
        _Grown(trees, tree, lambda place, tree=tree: trees.add_leaf(0, float(tree.leaves[place, 0]))).plant()
    return trees


def numbered_trees(forest: Forest, width: int) -> tuple[Trees, np.ndarray]:
    """Trees that give, one target each, the row of a table (leaves, k) whose rows add up to the margins.

    So a tree of many margins stands in the file once and not once per margin.
    """
    trees = Trees(width=width, targets=len(forest.trees) + 1)
    trees.add_constant(0, 0.0)
    rows = [forest.bias]
    for target, tree in enumerate(forest.trees, start=1):

        def leaf(place: int, tree: Symmetric = tree, target: int = target) -> int:
            rows.append(tree.leaves[place])
            return trees.add_leaf(target, float(len(rows) - 1))

        _Grown(trees, tree, leaf).plant()
    return trees, np.asarray(rows, dtype=np.float32)


class _Grown:
    """A symmetric tree on its way into `trees`, without the branches that no row can take."""

    def __init__(self, trees: Trees, tree: Symmetric, leaf: Callable[[int], int]) -> None:
        self.trees, self.tree, self.leaf = trees, tree, leaf
        self.low: dict[int, float] = {}
        self.high: dict[int, float] = {}

    def plant(self) -> None:
        root, is_leaf = self._grow(len(self.tree.splits) - 1, 0)
        if is_leaf:
            self.trees.roots.append(self.trees.add_node(0, LESS_OR_EQUAL, 0.0, True))
            for on_true in (True, False):
                self.trees.set_child(self.trees.roots[-1], on_true, root, True)
        else:
            self.trees.roots.append(root)

    def _grow(self, level: int, place: int) -> tuple[int, bool]:
        """The number of the node (or leaf) for the levels from `level` down, where higher bits are those of `place`."""
        size = 2 ** (level + 1)
        leaves = self.tree.leaves[place : place + size]
        if level < 0 or (leaves == leaves[0]).all():
            return self.leaf(place), True
        split = self.tree.splits[level]
        below, above = place, place + size // 2
        if split.border >= self.high.get(split.feature, float("inf")):
            return self._grow(level - 1, below)
        if split.border <= self.low.get(split.feature, float("-inf")):
            return self._grow(level - 1, above)
        number = self.trees.add_node(split.feature, LESS_OR_EQUAL, split.border, not split.missing_above)
        for bounds, on_true, half in ((self.high, True, below), (self.low, False, above)):
            before = bounds.get(split.feature)
            bounds[split.feature] = split.border
            self.trees.set_child(number, on_true, *self._grow(level - 1, half))
            if before is None:
                del bounds[split.feature]
            else:
                bounds[split.feature] = before
        return number, False
