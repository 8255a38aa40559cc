"""A trained network for tables as an ONNX graph of standard operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from volant.bind.onnx_graph import INPUT, Graph

if TYPE_CHECKING:
    from volant.neural.table_network import TableNetwork

LEAST = 1e-9
"""The least probability whose logarithm is taken: float32 knows no smaller ones beside 1."""


def network_model(network: TableNetwork, classes: int, low: float, high: float) -> bytes:
    """An ONNX model: `x` float32 (n, width) to `y`, margins of classes (n, C), or a number (n, 1) in [low, high]."""
    from volant.neural.table_network import arrays

    values = arrays(network)
    graph = Graph(network.inputs.width)
    z = _adapted(graph, _features(graph, network, values), values)
    for weight, bias in zip(values["weights"], values["biases"], strict=True):
        z = graph.node("Gemm", z, graph.constant(weight), graph.constant(bias))
        z = _activated(graph, z, network.architecture.activation)
    out = _heads(graph, z, values)
    if classes:
        return graph.model(_together(graph, out), classes)
    mean = graph.node("ReduceMean", out, graph.constant([0], np.int64), keepdims=0)
    return graph.model(graph.node("Clip", mean, graph.constant(low), graph.constant(high)), 1)


def _features(graph: Graph, network: TableNetwork, values: dict[str, Any]) -> str:
    numbers, plain = network.inputs.numbers, network.inputs.plain
    parts: list[str] = []
    if numbers:
        parts.append(_squashed(graph, graph.columns(INPUT, 0, numbers)))
    if len(values["column"]):
        parts.append(_pieces(graph, parts[0], values))
    if plain:
        parts.insert(min(numbers, 1), graph.columns(INPUT, numbers, numbers + plain))
    if len(values["hot_column"]):
        codes = graph.picked(INPUT, values["hot_column"])
        parts.append(graph.node("Cast", graph.node("Equal", codes, graph.constant(values["hot_value"])), to=1))
    for i, table in zip(network.embedded, values["tables"], strict=True):
        code = graph.node("Cast", graph.picked(INPUT, numbers + plain + i), to=7)
        parts.append(graph.node("Gather", graph.constant(table), code, axis=0))
    return graph.node("Concat", *parts, axis=1)


def _squashed(graph: Graph, x: str) -> str:
    third = graph.node("Mul", x, graph.constant(np.float32(1 / 3)))
    square = graph.node("Add", graph.node("Mul", third, third), graph.constant(1.0))
    return graph.node("Div", x, graph.node("Sqrt", square))


def _pieces(graph: Graph, numbers: str, values: dict[str, Any]) -> str:
    off = graph.node("Sub", graph.picked(numbers, values["column"]), graph.constant(values["low"]))
    way = graph.node("Mul", off, graph.constant(values["slope"]))
    cut = graph.node("Clip", way, graph.constant(0.0), graph.constant(1.0))
    return graph.node("Sub", cut, graph.constant(values["middle"]))


def _adapted(graph: Graph, z: str, values: dict[str, Any]) -> str:
    """Rows times members (members * n, width): what each member sees."""
    if "adapter" not in values:
        return z
    adapter = values["adapter"]
    return graph.shaped(graph.node("Mul", z, graph.constant(adapter)), -1, adapter.shape[2])


def _activated(graph: Graph, z: str, activation: str) -> str:
    if activation == "silu":
        return graph.node("Mul", z, graph.node("Sigmoid", z))
    if activation == "mish":
        return graph.node("Mul", z, graph.node("Tanh", graph.node("Softplus", z)))
    return graph.node(activation.capitalize(), z)


def _heads(graph: Graph, z: str, values: dict[str, Any]) -> str:
    """The outputs of each member, (members, n, outputs)."""
    members, width, _ = values["heads"].shape
    out = graph.node("MatMul", graph.shaped(z, members, -1, width), graph.constant(values["heads"]))
    return graph.node("Add", out, graph.constant(values["head_biases"]))


def _together(graph: Graph, out: str) -> str:
    """Logarithms of the mean probabilities of all members: margins that a softmax turns back into them."""
    mean = graph.node("ReduceMean", graph.node("Softmax", out, axis=-1), graph.constant([0], np.int64), keepdims=0)
    return graph.node("Log", graph.node("Clip", mean, graph.constant(np.float32(LEAST))))
