"""Which channels of a convolutional ONNX network can be cut out, and the network without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

THROUGH = {"Gelu", "Relu", "MaxPool", "GlobalMaxPool", "GlobalAveragePool", "Flatten", "Identity"}
"""Operators that treat each channel by itself."""
FLAT = {"GlobalMaxPool", "GlobalAveragePool"}


@dataclass(frozen=True)
class Link:
    """A convolution and the only layer that its channels flow into.

    `block` is how many inputs of that layer each channel is: one, or the pixels of its map where maps are laid flat.
    """

    weight: str
    bias: str | None
    into: str
    dense: bool
    block: int


def _arrays(model: Any) -> dict[str, np.ndarray]:
    from onnx import numpy_helper

    return {one.name: np.array(numpy_helper.to_array(one)) for one in model.graph.initializer}


def links(model: bytes) -> list[Link]:
    """The convolutions whose channels can be cut out without touching anything but one other layer."""
    import onnx

    proto = onnx.load_from_string(model)
    arrays = _arrays(proto)
    takers: dict[str, list[Any]] = {}
    for node in proto.graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    found = []
    for node in proto.graph.node:
        if node.op_type != "Conv" or node.input[1] not in arrays or _groups(node) != 1:
            continue
        link = _followed(node, takers, arrays)
        if link is not None:
            found.append(link)
    return found


def _groups(node: Any) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "group"), 1)


def _followed(node: Any, takers: Mapping[str, list[Any]], arrays: Mapping[str, np.ndarray]) -> Link | None:
    bias = node.input[2] if len(node.input) > 2 else None
    channels = len(arrays[node.input[1]])
    at = node.output[0]
    while len(takers.get(at, [])) == 1:
        after = takers[at][0]
        if after.op_type in THROUGH:
            at = after.output[0]
            continue
        if after.op_type not in ("Conv", "Gemm") or after.input[0] != at or after.input[1] not in arrays:
            return None
        dense = after.op_type == "Gemm"
        transposed = any(a.name in ("transA", "transB") and a.i for a in after.attribute)
        if (dense and transposed) or (not dense and _groups(after) != 1):
            return None
        size = arrays[after.input[1]].shape[0 if dense else 1]
        return Link(node.input[1], bias, after.input[1], dense, size // channels) if size % channels == 0 else None
    return None


def importance(link: Link, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """How much each channel matters, (channels,): the length of its filter times that of what takes it up."""
    weight, into = arrays[link.weight], arrays[link.into]
    own = np.linalg.norm(weight.reshape(len(weight), -1), axis=1)
    taken = into.reshape(len(weight), -1) if link.dense else np.moveaxis(into, 1, 0).reshape(len(weight), -1)
    return np.asarray(own * np.linalg.norm(taken, axis=1))


def without(model: bytes, share: float) -> bytes:
    """The network without that share of the channels of each convolution that can be cut, those that matter least."""
    import onnx
    from onnx import numpy_helper

    proto = onnx.load_from_string(model)
    arrays = _arrays(proto)
    for link in links(model):
        matters = importance(link, arrays)
        kept = np.sort(np.argsort(-matters, kind="stable")[: max(4, round(len(matters) * (1.0 - share)))])
        arrays[link.weight] = arrays[link.weight][kept]
        if link.bias is not None:
            arrays[link.bias] = arrays[link.bias][kept]
        if link.dense:
            rows = (kept[:, None] * link.block + np.arange(link.block)).reshape(-1)
            arrays[link.into] = arrays[link.into][rows]
        else:
            arrays[link.into] = arrays[link.into][:, kept]
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(arrays[tensor.name]), tensor.name))
    proto.graph.ClearField("value_info")
    return bytes(proto.SerializeToString(deterministic=True))
