"""ONNX networks run by torch, so that there are gradients: of what is served, not of what it was made from.

The weights can be trained further and written back into the model that they came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

Values = list[Any]
Attributes = Mapping[str, Any]


class Unplayable(Exception):
    """A model with an operator that is not known here."""


class Replay(nn.Module):
    """A model as a module: its float weights of two dimensions or more, and biases, are parameters.

    `forward` takes the inputs in their order and gives the first output; `played` gives any values by name.
    """

    def __init__(self, model: bytes) -> None:
        import onnx

        super().__init__()
        self.proto = onnx.load_from_string(model)
        graph = self.proto.graph
        self.inputs = [one.name for one in graph.input]
        self.output = graph.output[0].name
        self.steps = [
            (
                n.op_type,
                list(n.input),
                list(n.output),
                {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute},
            )
            for n in graph.node
        ]
        unknown = sorted({step[0] for step in self.steps} - set(_OPERATORS))
        if unknown:
            raise Unplayable(", ".join(unknown))
        learned = _learned(self.steps)
        self.learned, self.constants = nn.ParameterDict(), dict[str, Any]()
        self._keys: dict[str, str] = {}
        for tensor in graph.initializer:
            values = torch.from_numpy(np.array(onnx.numpy_helper.to_array(tensor)))
            if tensor.name in learned and values.is_floating_point():
                self._keys[tensor.name] = f"p{len(self._keys)}"
                self.learned[self._keys[tensor.name]] = nn.Parameter(values)
            else:
                self.constants[tensor.name] = values

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.played(given, (self.output,))[self.output]
        return found

    def played(self, given: Sequence[torch.Tensor], wanted: Sequence[str]) -> dict[str, Any]:
        """Values of the graph for some inputs."""
        values: dict[str, Any] = {**self.constants, **dict(zip(self.inputs, given, strict=True)), "": None}
        values |= {name: self.learned[key] for name, key in self._keys.items()}
        for op, inputs, outputs, attributes in self.steps:
            made = _OPERATORS[op]([values[name] for name in inputs], attributes)
            for name, value in zip(outputs, made if isinstance(made, tuple) else (made,), strict=False):
                values[name] = value
        return {name: values[name] for name in wanted}

    def weight(self, name: str) -> nn.Parameter:
        """A learned weight by its name in the model."""
        found: nn.Parameter = self.learned[self._keys[name]]
        return found

    def names(self) -> tuple[str, ...]:
        """The learned weights, by their names in the model."""
        return tuple(self._keys)

    def model(self) -> bytes:
        """The model with the weights as they are now."""
        import onnx

        made = onnx.ModelProto()
        made.CopyFrom(self.proto)
        for tensor in made.graph.initializer:
            if tensor.name in self._keys:
                values = self.weight(tensor.name).detach().numpy()
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
        return bytes(made.SerializeToString(deterministic=True))


def _learned(steps: Sequence[tuple[str, list[str], list[str], Attributes]]) -> set[str]:
    """Names of what layers multiply with and add: not scales of pixels, nor statistics of normalisation."""
    found: set[str] = set()
    for op, inputs, _, _ in steps:
        if op in ("Conv", "Gemm"):
            found.update(inputs[1:3])
        elif op == "MatMul":
            found.update(inputs)
    return found


def _convolution(given: Values, told: Attributes) -> torch.Tensor:
    x, weight, *bias = given
    pads = list(told.get("pads", [0] * 4))
    half = len(pads) // 2
    if pads[:half] != pads[half:]:
        x = nn.functional.pad(x, [pads[i + half * end] for i in reversed(range(half)) for end in (0, 1)])
        pads = [0] * len(pads)
    call = {1: nn.functional.conv1d, 2: nn.functional.conv2d}[half]
    stride, dilation = (tuple(told.get(name, [1] * half)) for name in ("strides", "dilations"))
    return call(x, weight, bias[0] if bias else None, stride, tuple(pads[:half]), dilation, int(told.get("group", 1)))


def _max_pool(given: Values, told: Attributes) -> torch.Tensor:
    size = tuple(told["kernel_shape"])
    return nn.functional.max_pool2d(
        given[0], size, tuple(told.get("strides", [1] * len(size))), tuple(told.get("pads", [0] * 4))[: len(size)]
    )


def _gemm(given: Values, told: Attributes) -> torch.Tensor:
    a, b, *c = given
    a = a.T if told.get("transA") else a
    b = b.T if told.get("transB") else b
    out = told.get("alpha", 1.0) * (a @ b)
    return out + told.get("beta", 1.0) * c[0] if c and c[0] is not None else out


def _normalised(given: Values, told: Attributes) -> torch.Tensor:
    x, scale, bias, mean, variance = given
    return nn.functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, told.get("epsilon", 1e-5))


def _layer_norm(given: Values, told: Attributes) -> torch.Tensor:
    x, scale, *bias = given
    axis = int(told.get("axis", -1)) % x.ndim
    return nn.functional.layer_norm(x, x.shape[axis:], scale, bias[0] if bias else None, told.get("epsilon", 1e-5))


def _gelu(given: Values, told: Attributes) -> torch.Tensor:
    way = told.get("approximate", b"none")
    return nn.functional.gelu(given[0], approximate=way.decode() if isinstance(way, bytes) else way)


def _flatten(given: Values, told: Attributes) -> torch.Tensor:
    axis = int(told.get("axis", 1))
    return given[0].reshape(int(np.prod(given[0].shape[:axis])), -1)


def _reshape(given: Values, told: Attributes) -> torch.Tensor:
    x, shape = given
    sizes = [x.shape[i] if size == 0 and not told.get("allowzero") else size for i, size in enumerate(shape.tolist())]
    return x.reshape(sizes)


def _slice(given: Values, told: Attributes) -> torch.Tensor:
    x, begins, ends, *rest = given
    axes = rest[0].tolist() if rest and rest[0] is not None else range(len(begins))
    steps = rest[1].tolist() if len(rest) > 1 and rest[1] is not None else [1] * len(begins)
    for begin, end, axis, step in zip(begins.tolist(), ends.tolist(), axes, steps, strict=True):
        size = x.shape[axis]
        places = torch.arange(size)[slice(begin, end, step)] if step > 0 else _backwards(size, begin, end, step)
        x = x.index_select(axis, places.to(x.device))
    return x


def _backwards(size: int, begin: int, end: int, step: int) -> torch.Tensor:
    first = begin + size if begin < 0 else min(begin, size - 1)
    last = max(end + size, -1) if end < 0 else end
    return torch.arange(first, last, step)


def _reduced(call: Callable[..., torch.Tensor]) -> Callable[[Values, Attributes], torch.Tensor]:
    def run(given: Values, told: Attributes) -> torch.Tensor:
        x, *axes = given
        over = axes[0].tolist() if axes and axes[0] is not None else told.get("axes", list(range(x.ndim)))
        return call(x, dim=tuple(over), keepdim=bool(told.get("keepdims", 1)))

    return run


def _split(given: Values, told: Attributes) -> tuple[torch.Tensor, ...]:
    x, *sizes = given
    axis = int(told.get("axis", 0))
    if sizes and sizes[0] is not None:
        return tuple(torch.split(x, sizes[0].tolist(), axis))
    return tuple(torch.tensor_split(x, int(told["num_outputs"]), axis))


def _cast(given: Values, told: Attributes) -> torch.Tensor:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
    found: torch.Tensor = given[0].to(kinds[int(told["to"])])
    return found


def _constant(given: Values, told: Attributes) -> torch.Tensor:
    from onnx import numpy_helper

    return torch.from_numpy(np.array(numpy_helper.to_array(told["value"])))


def _squeezed(given: Values, told: Attributes) -> torch.Tensor:
    x, *axes = given
    over = axes[0].tolist() if axes and axes[0] is not None else [i for i, size in enumerate(x.shape) if size == 1]
    return x.squeeze(tuple(over))


def _unsqueezed(given: Values, told: Attributes) -> torch.Tensor:
    x, axes = given
    for axis in sorted(a % (x.ndim + len(axes)) for a in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _gathered(given: Values, told: Attributes) -> torch.Tensor:
    x, places = given
    axis = int(told.get("axis", 0))
    found = x.index_select(axis % x.ndim, places.reshape(-1) % x.shape[axis])
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis:][1:])


_OPERATORS: dict[str, Callable[[Values, Attributes], Any]] = {
    "Conv": _convolution,
    "MaxPool": _max_pool,
    "Gemm": _gemm,
    "BatchNormalization": _normalised,
    "LayerNormalization": _layer_norm,
    "Gelu": _gelu,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Cast": _cast,
    "Constant": _constant,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    "Gather": _gathered,
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "ReduceMax": _reduced(torch.amax),
    "GlobalMaxPool": lambda g, t: g[0].amax(dim=(2, 3), keepdim=True),
    "GlobalAveragePool": lambda g, t: g[0].mean(dim=(2, 3), keepdim=True),
    "Relu": lambda g, t: torch.relu(g[0]),
    "Sigmoid": lambda g, t: torch.sigmoid(g[0]),
    "Tanh": lambda g, t: torch.tanh(g[0]),
    "Erf": lambda g, t: torch.erf(g[0]),
    "Sqrt": lambda g, t: torch.sqrt(g[0]),
    "Reciprocal": lambda g, t: torch.reciprocal(g[0]),
    "Log": lambda g, t: torch.log(g[0]),
    "Softplus": lambda g, t: nn.functional.softplus(g[0]),
    "Softmax": lambda g, t: torch.softmax(g[0], dim=int(t.get("axis", -1))),
    "Clip": lambda g, t: torch.clamp(g[0], g[1], g[2] if len(g) > 2 else None),
    "Pow": lambda g, t: torch.pow(g[0], g[1]),
    "Add": lambda g, t: g[0] + g[1],
    "Sub": lambda g, t: g[0] - g[1],
    "Mul": lambda g, t: g[0] * g[1],
    "Div": lambda g, t: g[0] / g[1],
    "MatMul": lambda g, t: g[0] @ g[1],
    "Equal": lambda g, t: g[0] == g[1],
    "Where": lambda g, t: torch.where(g[0], g[1], g[2]),
    "Concat": lambda g, t: torch.cat(list(g), dim=int(t["axis"])),
    "Expand": lambda g, t: g[0].expand(torch.broadcast_shapes(g[0].shape, tuple(g[1].tolist()))),
    "Transpose": lambda g, t: g[0].permute(tuple(t["perm"])),
    "Shape": lambda g, t: torch.tensor(g[0].shape)[int(t.get("start", 0)) : t.get("end")],
    "Identity": lambda g, t: g[0],
}
