"""ONNX models read back as arrays, where they are trees or a linear map: what an exact explanation needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LESS_OR_EQUAL, LESS, GREATER_OR_EQUAL, GREATER, EQUAL, NOT_EQUAL, MEMBER = range(7)
_SUM, _AVERAGE = 1, 0


@dataclass(frozen=True)
class TreeArrays:
    """A tree ensemble as arrays, in the form of ONNX `TreeEnsemble`; see `volant.bind.onnx.Trees`.

    `members` holds the values of each membership node in the order of the nodes. The answer for target t is the
    sum of the weights of the leaves of t that a row reaches.
    """

    targets: int
    roots: np.ndarray
    feature: np.ndarray
    mode: np.ndarray
    split: np.ndarray
    missing_true: np.ndarray
    true_id: np.ndarray
    true_leaf: np.ndarray
    false_id: np.ndarray
    false_leaf: np.ndarray
    leaf_target: np.ndarray
    leaf_weight: np.ndarray
    members: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True)
class Affine:
    """y = x @ weights + bias: weights (k, m), bias (m,)."""

    weights: np.ndarray
    bias: np.ndarray


def read_model(path: Path) -> TreeArrays | Affine | None:
    """The model in a file, or None where it is neither one tree ensemble nor one linear map."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    if len(graph.node) != 1:
        return None
    node = graph.node[0]
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    if node.op_type == "TreeEnsemble" and node.domain == "ai.onnx.ml":
        return _trees(attributes)
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    if node.op_type == "Gemm" and not attributes and all(name in constants for name in node.input[1:]):
        weights, bias = (constants[name].astype(np.float64) for name in node.input[1:])
        return Affine(weights, bias)
    return None


def input_names(model: bytes) -> list[str]:
    """The names of a model's inputs, in their order."""
    import onnx

    return [one.name for one in onnx.load_from_string(model).graph.input]


def _trees(attributes: Mapping[str, Any]) -> TreeArrays | None:
    from onnx import numpy_helper

    roots = np.asarray(attributes["tree_roots"], dtype=np.int64)
    if attributes.get("post_transform", 0) or attributes.get("aggregate_function", _SUM) not in (_SUM, _AVERAGE):
        return None
    over = len(roots) if attributes.get("aggregate_function", _SUM) == _AVERAGE else 1

    def whole(name: str) -> np.ndarray:
        return np.asarray(attributes[name], dtype=np.int64)

    def tensor(name: str) -> np.ndarray:
        return np.asarray(numpy_helper.to_array(attributes[name]))

    feature = whole("nodes_featureids")
    tracks = attributes.get("nodes_missing_value_tracks_true")
    return TreeArrays(
        targets=int(attributes["n_targets"]),
        roots=roots,
        feature=feature,
        mode=tensor("nodes_modes").astype(np.int64),
        split=tensor("nodes_splits"),
        missing_true=np.zeros(len(feature), bool) if tracks is None else np.asarray(tracks, dtype=bool),
        true_id=whole("nodes_truenodeids"),
        true_leaf=whole("nodes_trueleafs").astype(bool),
        false_id=whole("nodes_falsenodeids"),
        false_leaf=whole("nodes_falseleafs").astype(bool),
        leaf_target=whole("leaf_targetids"),
        leaf_weight=tensor("leaf_weights").astype(np.float64) / over,
        members=_members(tensor("membership_values")) if "membership_values" in attributes else (),
    )


def _members(listed: np.ndarray) -> tuple[np.ndarray, ...]:
    """The lists that NaN ends, one per membership node."""
    ends = np.flatnonzero(np.isnan(listed))
    return tuple(part[~np.isnan(part)] for part in np.split(listed, ends + 1)[: len(ends)])
