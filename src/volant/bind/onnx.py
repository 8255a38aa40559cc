"""ONNX models written by hand: a tree ensemble and a linear map. Deterministic bytes for the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

OPSET, ML_OPSET, IR = 20, 5, 9
LESS_OR_EQUAL, LESS, MEMBER = 0, 1, 6


@dataclass
class Trees:
    """A tree ensemble in the flat form of ONNX `TreeEnsemble` (ai.onnx.ml, version 5).

    Entry i of the node lists describes node i; `true_leaf` tells whether `true_id` names a leaf.
    `members` lists the values of each membership node in the order of the nodes.
    """

    width: int
    targets: int
    roots: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    mode: list[int] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    true_id: list[int] = field(default_factory=list)
    true_leaf: list[int] = field(default_factory=list)
    false_id: list[int] = field(default_factory=list)
    false_leaf: list[int] = field(default_factory=list)
    leaf_target: list[int] = field(default_factory=list)
    leaf_weight: list[float] = field(default_factory=list)
    members: list[list[float]] = field(default_factory=list)

    def add_leaf(self, target: int, weight: float) -> int:
        """Append a leaf; gives its number."""
        self.leaf_target.append(target)
        self.leaf_weight.append(weight)
        return len(self.leaf_target) - 1

    def add_node(self, feature: int, mode: int, split: float, missing_true: bool) -> int:
        """Append a node whose branches are set later; gives its number."""
        self.feature.append(feature)
        self.mode.append(mode)
        self.split.append(split)
        self.missing_true.append(int(missing_true))
        for branch in (self.true_id, self.true_leaf, self.false_id, self.false_leaf):
            branch.append(0)
        return len(self.feature) - 1

    def add_constant(self, target: int, weight: float) -> None:
        """Append a tree that adds the same weight for every row."""
        leaf = self.add_leaf(target, weight)
        self.roots.append(self.add_node(0, LESS_OR_EQUAL, 0.0, True))
        self.true_id[-1] = self.false_id[-1] = leaf
        self.true_leaf[-1] = self.false_leaf[-1] = 1

    def set_child(self, parent: int, on_true: bool, child: int, is_leaf: bool) -> None:
        """Hang a node or a leaf below one branch of a node."""
        ids, leaves = (self.true_id, self.true_leaf) if on_true else (self.false_id, self.false_leaf)
        ids[parent], leaves[parent] = child, int(is_leaf)


def floor32(value: float) -> float:
    """The largest float32 that is not above `value`: comparing float32 numbers with either is the same."""
    largest = float(np.finfo(np.float32).max)
    if abs(value) >= largest:
        return largest if value > 0 else -largest if value == -largest else float("-inf")
    low = np.float32(value)
    return float(low if float(low) <= value else np.nextafter(low, np.float32(-np.inf)))


def trees_model(trees: Trees) -> bytes:
    """An ONNX model: `x` float32 (n, width) to `y` float32 (n, targets), the sum of the leaves."""
    from onnx import TensorProto, helper

    def floats(name: str, values: list[float]) -> object:
        return helper.make_tensor(name, TensorProto.FLOAT, [len(values)], np.asarray(values, dtype=np.float32))

    attributes = {
        "n_targets": trees.targets,
        "aggregate_function": 1,
        "post_transform": 0,
        "tree_roots": trees.roots,
        "nodes_featureids": trees.feature,
        "nodes_modes": helper.make_tensor("modes", TensorProto.UINT8, [len(trees.mode)], trees.mode),
        "nodes_splits": floats("splits", trees.split),
        "nodes_missing_value_tracks_true": trees.missing_true,
        "nodes_truenodeids": trees.true_id,
        "nodes_trueleafs": trees.true_leaf,
        "nodes_falsenodeids": trees.false_id,
        "nodes_falseleafs": trees.false_leaf,
        "leaf_targetids": trees.leaf_target,
        "leaf_weights": floats("weights", trees.leaf_weight),
    }
    if trees.members:
        listed = [value for values in trees.members for value in (*values, np.nan)]
        attributes["membership_values"] = floats("members", listed)
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    return _model([node], trees.width, trees.targets, [])


def linear_model(weights: np.ndarray, bias: np.ndarray) -> bytes:
    """An ONNX model: `x` float32 (n, k) to `y` = x @ weights + bias, float32 (n, m)."""
    from onnx import helper, numpy_helper

    constants = [
        numpy_helper.from_array(np.ascontiguousarray(weights, dtype=np.float32), "weights"),
        numpy_helper.from_array(np.ascontiguousarray(bias, dtype=np.float32), "bias"),
    ]
    node = helper.make_node("Gemm", ["x", "weights", "bias"], ["y"])
    return _model([node], weights.shape[0], weights.shape[1], constants)


def _model(nodes: list[object], width: int, targets: int, constants: list[object]) -> bytes:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "volant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, targets])],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="volant")
    return bytes(model.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class Contents:
    """What a model file holds besides standard operators and its own weights.

    `foreign` names domains of other operators, and functions; `external` the weights that lie in other files.
    """

    foreign: tuple[str, ...]
    external: tuple[str, ...]


def contents(path: Path) -> Contents:
    """Look into a model file without loading anything that it refers to."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx", "ai.onnx.ml"}
    foreign |= {function.name for function in model.functions}
    external = [t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    return Contents(tuple(sorted(foreign)), tuple(external))
