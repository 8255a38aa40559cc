"""Forests of scikit-learn: grown a few trees at a time until a deadline, and their trees as ONNX.

scikit-learn compares float32 features with float64 thresholds (`x <= threshold`); thresholds are rounded down to
float32, so each row takes the same branches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.bind.boosting import Deadline, Part
from volant.bind.onnx import LESS_OR_EQUAL, Trees, floor32

AT_ONCE = 16
"""Trees that are grown between two looks at the clock."""


@dataclass(frozen=True)
class Grown:
    """A fitted tree: its nodes as scikit-learn numbers them, and what each node says, (nodes, k)."""

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    values: np.ndarray
    weight: np.ndarray


def grow(
    kind: str,
    params: Mapping[str, Any],
    part: Part,
    *,
    classes: int,
    trees: int,
    seconds: float,
    tell: Callable[[int], None] = lambda _: None,
) -> list[Grown]:
    """Grow `trees` trees, or as many as `seconds` allow: `extra` for random splits, `random` for the best ones.

    The values of classes are shares that add up to one, in the order of the class indices.
    """
    model = _model(kind, bool(classes))(**params, warm_start=True, n_estimators=0)
    deadline = Deadline(seconds)
    while model.n_estimators < trees:
        model.set_params(n_estimators=min(model.n_estimators + AT_ONCE, trees))
        with np.errstate(over="ignore", invalid="ignore"):  # the library adds everything up to see if it is finite
            model.fit(part.x, part.y, sample_weight=part.weights)
        tell(model.n_estimators)
        if deadline.over():
            break
    present = model.classes_.astype(np.int64) if classes else np.zeros(1, dtype=np.int64)
    return [_grown(tree.tree_, present, max(classes, 1)) for tree in model.estimators_]


def _model(kind: str, classes: bool) -> Any:
    from sklearn import ensemble

    models = {
        ("extra", True): ensemble.ExtraTreesClassifier,
        ("extra", False): ensemble.ExtraTreesRegressor,
        ("random", True): ensemble.RandomForestClassifier,
        ("random", False): ensemble.RandomForestRegressor,
    }
    return models[kind, classes]


def _grown(tree: Any, present: np.ndarray, width: int) -> Grown:
    values = np.zeros((tree.node_count, width))
    values[:, present] = tree.value[:, 0, :]
    return Grown(
        tree.children_left,
        tree.children_right,
        tree.feature,
        tree.threshold,
        tree.missing_go_to_left,
        values,
        tree.weighted_n_node_samples,
    )


def averaged_trees(forest: Sequence[Grown], width: int) -> Trees:
    """Trees whose leaves add up to the mean of the one value that each tree gives."""
    trees = Trees(width=width, targets=1)
    for tree in forest:
        share = tree.values[:, 0] / len(forest)
        _add(trees, tree, lambda node, share=share: trees.add_leaf(0, float(share[node])))
    return trees


def numbered_trees(forest: Sequence[Grown], width: int) -> tuple[Trees, np.ndarray]:
    """Trees that give, one target each, the row of a table (leaves, k) whose rows add up to the mean of the trees."""
    trees = Trees(width=width, targets=len(forest))
    rows: list[np.ndarray] = []
    for target, tree in enumerate(forest):

        def leaf(node: int, tree: Grown = tree, target: int = target) -> int:
            rows.append(tree.values[node])
            return trees.add_leaf(target, float(len(rows) - 1))

        _add(trees, tree, leaf)
    return trees, (np.asarray(rows) / len(forest)).astype(np.float32)


def _add(trees: Trees, tree: Grown, leaf: Callable[[int], int]) -> None:
    numbers = [
        leaf(place)
        if left == -1
        else trees.add_node(int(feature), LESS_OR_EQUAL, floor32(float(threshold)), bool(missing_left))
        for place, (left, feature, threshold, missing_left) in enumerate(
            zip(tree.left, tree.feature, tree.threshold, tree.missing_left, strict=True)
        )
    ]
    if tree.left[0] == -1:
        trees.roots.append(trees.add_node(0, LESS_OR_EQUAL, 0.0, True))
        for on_true in (True, False):
            trees.set_child(trees.roots[-1], on_true, numbers[0], True)
        return
    trees.roots.append(numbers[0])
    for place, (left, right) in enumerate(zip(tree.left, tree.right, strict=True)):
        if left != -1:
            trees.set_child(numbers[place], True, numbers[left], bool(tree.left[left] == -1))
            trees.set_child(numbers[place], False, numbers[right], bool(tree.left[right] == -1))
