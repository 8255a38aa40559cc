"""Networks of plain layers written as ONNX by hand: the same operators as an exporter's, in a hundredth of its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from volant.bind.onnx_graph import INPUT, Graph
from volant.neural.image.cnn import Cnn
from volant.neural.image.convnet import ConvNet, Folded, folded, with_norm
from volant.neural.image.layers import Dropout, Mean, Norm, Peak, Pixels, Shape
from volant.neural.image.network import Beside, ImageNetwork
from volant.neural.image.resnet import Block, ResNet
from volant.neural.image.vit import Layer, Vit

FLOAT = 1
"""The number of float32 among ONNX's kinds."""


class Unwritten(Exception):
    """A layer that has no writer here: an exporter must do it."""


def written(network: ImageNetwork, shape: Shape) -> bytes:
    """The ONNX model of a network; see `volant.neural.image.export.exported_network`.

    Raises:
        Unwritten: it has a layer that is not written by hand.
    """
    beside = None if network.beside is None else {"beside": network.beside.layers[0].in_features}
    graph = Graph(shape.height, shape.width, shape.channels, kind="uint8", beside=beside)
    planes = _write(graph, network.pixels, INPUT)
    if network.mirrored:
        planes = graph.node("Concat", planes, _turned(graph, planes), axis=0)
    found = _write(graph, network.body, planes)
    if network.beside is not None:
        others = _write(graph, network.beside, "beside")
        others = graph.node("Concat", others, others, axis=0) if network.mirrored else others
        found = graph.node("Concat", found, others, axis=1)
    out = _linear(graph, network.head, found, network.scale)
    if network.mirrored:
        both = graph.shaped(out, 2, -1, network.head.out_features)
        out = graph.node("ReduceMean", both, graph.constant([0], np.int64), keepdims=0)
    return graph.model(out, network.head.out_features)


def written_head(network: ImageNetwork) -> bytes:
    """The ONNX model from `x`, the features of pictures (n, width), and `beside` (n, k), to `y` (n, outputs)."""
    beside = None if network.beside is None else {"beside": network.beside.layers[0].in_features}
    own = network.head.in_features - (0 if network.beside is None else network.beside.width)
    graph = Graph(own, beside=beside)
    found = INPUT
    if network.beside is not None:
        found = graph.node("Concat", found, _write(graph, network.beside, "beside"), axis=1)
    return graph.model(_linear(graph, network.head, found, network.scale), network.head.out_features)


def _turned(graph: Graph, planes: str) -> str:
    """The mirror images of planes (n, channels, height, width)."""
    first, last, axis, step = (graph.constant([value], np.int64) for value in (-1, np.iinfo(np.int64).min, 3, -1))
    return graph.node("Slice", planes, first, last, axis, step)


def _write(graph: Graph, layer: nn.Module, x: str) -> str:
    for kind, writer in _WRITERS.items():
        if isinstance(layer, kind):
            return writer(graph, layer, x)
    raise Unwritten(type(layer).__name__)


def _array(values: torch.Tensor) -> np.ndarray:
    found: np.ndarray = values.detach().float().contiguous().numpy()
    return found


def _pixels(graph: Graph, layer: Any, x: str) -> str:
    planes = graph.node("Cast", graph.node("Transpose", x, perm=[0, 3, 1, 2]), to=FLOAT)
    centred = graph.node("Sub", planes, graph.constant(_array(layer.center)))
    return graph.node("Mul", centred, graph.constant(_array(1.0 / layer.spread)))


def _convolution(graph: Graph, layer: Any, x: str) -> str:
    weights = [graph.constant(_array(layer.weight))]
    if layer.bias is not None:
        weights.append(graph.constant(_array(layer.bias)))
    down, across = layer.padding
    attributes = {"strides": list(layer.stride), "pads": [down, across, down, across], "group": layer.groups}
    return graph.node("Conv", x, *weights, kernel_shape=list(layer.kernel_size), **attributes)


def _normalised(graph: Graph, layer: Any, x: str) -> str:
    numbers = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
    return graph.node("BatchNormalization", x, *[graph.constant(_array(v)) for v in numbers], epsilon=layer.eps)


def _pool(graph: Graph, layer: Any, x: str) -> str:
    size, stride, pad = (int(v) for v in (layer.kernel_size, layer.stride, layer.padding))
    return graph.node("MaxPool", x, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[pad] * 4)


def _linear(graph: Graph, layer: Any, x: str, scale: float = 1.0) -> str:
    weight = graph.constant(_array(layer.weight.T) * np.float32(scale))
    return graph.node("Gemm", x, weight, graph.constant(_array(layer.bias) * np.float32(scale)))


def _over_map(op: str) -> Callable[[Graph, Any, str], str]:
    return lambda graph, layer, x: graph.node("Flatten", graph.node(op, x))


def _sequence(graph: Graph, layer: Any, x: str) -> str:
    waiting = list(layer)
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, nn.Conv2d) and waiting and isinstance(waiting[0], nn.BatchNorm2d):
            each = with_norm(each, waiting.pop(0))
        x = _write(graph, each, x)
    return x


def _folded(graph: Graph, layer: Any, x: str) -> str:
    for place, each in enumerate(layer.convolutions):
        y = _convolution(graph, each, x)
        z = graph.node("Gelu", y if place else _write(graph, layer.pool, y))
        x = graph.node("Add", x, z) if place > 1 else z
    return x


def _convnet(graph: Graph, layer: Any, x: str) -> str:
    return _write(graph, folded(layer), x)


def _cnn(graph: Graph, layer: Any, x: str) -> str:
    flat = graph.node("Flatten", _write(graph, layer.convolutions, x))
    return graph.node("Relu", _linear(graph, layer.dense, flat))


def _block(graph: Graph, layer: Any, x: str) -> str:
    return graph.node("Relu", graph.node("Add", _write(graph, layer.body, x), _write(graph, layer.way, x)))


def _resnet(graph: Graph, layer: Any, x: str) -> str:
    for part in (layer.stem, layer.blocks, layer.mean):
        x = _write(graph, part, x)
    return x


def _dense(graph: Graph, layer: Any, x: str) -> str:
    """A linear layer on the last of several dimensions."""
    out = graph.node("MatMul", x, graph.constant(_array(layer.weight.T)))
    return out if layer.bias is None else graph.node("Add", out, graph.constant(_array(layer.bias)))


def _layer_norm(graph: Graph, layer: Any, x: str) -> str:
    weights = [graph.constant(_array(values)) for values in (layer.weight, layer.bias)]
    return graph.node("LayerNormalization", x, *weights, axis=-1, epsilon=layer.eps)


def _attention(graph: Graph, layer: Any, x: str) -> str:
    width = layer.said.in_features
    size = width // layer.heads
    all_three = graph.shaped(_dense(graph, layer.given, x), 0, -1, 3, layer.heads, size)
    all_three = graph.node("Transpose", all_three, perm=[2, 0, 3, 1, 4])
    q, k, v = (graph.node("Gather", all_three, graph.constant(i, np.int64), axis=0) for i in range(3))
    q, k = (_of_length_one(graph, part) for part in (q, k))
    alike = graph.node("MatMul", q, graph.node("Transpose", k, perm=[0, 1, 3, 2]))
    share = graph.node("Softmax", graph.node("Mul", alike, graph.constant(size**-0.5)), axis=-1)
    mixed = graph.node("Transpose", graph.node("MatMul", share, v), perm=[0, 2, 1, 3])
    return _dense(graph, layer.said, graph.shaped(mixed, 0, -1, width))


def _of_length_one(graph: Graph, x: str) -> str:
    square = graph.node("ReduceMean", graph.node("Mul", x, x), graph.constant([-1], np.int64), keepdims=1)
    root = graph.node("Sqrt", graph.node("Add", square, graph.constant(np.finfo(np.float32).eps)))
    return graph.node("Div", x, root)


def _transformer_layer(graph: Graph, layer: Any, x: str) -> str:
    x = graph.node("Add", x, _attention(graph, layer.attention, _layer_norm(graph, layer.before, x)))
    first, _, second = layer.dense
    wide = graph.node("Gelu", _dense(graph, first, _layer_norm(graph, layer.between, x)))
    return graph.node("Add", x, _dense(graph, second, wide))


def _vit(graph: Graph, layer: Any, x: str) -> str:
    cut = graph.shaped(_convolution(graph, layer.cut, x), 0, layer.width, -1)
    patches = graph.node("Add", graph.node("Transpose", cut, perm=[0, 2, 1]), graph.constant(_array(layer.places)))
    after = _layer_norm(graph, layer.after, _write(graph, layer.layers, patches))
    return graph.node("ReduceMean", after, graph.constant([1], np.int64), keepdims=0)


_WRITERS: dict[type[nn.Module], Callable[[Graph, Any, str], str]] = {
    Pixels: _pixels,
    nn.Conv2d: _convolution,
    Norm: _normalised,
    nn.BatchNorm2d: _normalised,
    nn.MaxPool2d: _pool,
    nn.Linear: _linear,
    nn.ReLU: lambda graph, layer, x: graph.node("Relu", x),
    nn.GELU: lambda graph, layer, x: graph.node("Gelu", x),
    nn.Identity: lambda graph, layer, x: x,
    Dropout: lambda graph, layer, x: x,
    Peak: _over_map("GlobalMaxPool"),
    Mean: _over_map("GlobalAveragePool"),
    nn.Sequential: _sequence,
    Beside: lambda graph, layer, x: _write(graph, layer.layers, x),
    Folded: _folded,
    ConvNet: _convnet,
    Cnn: _cnn,
    Block: _block,
    ResNet: _resnet,
    Layer: _transformer_layer,
    Vit: _vit,
}
