"""ONNX graphs of standard operators, written one node at a time. Deterministic bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

OPSET, IR = 20, 9
INPUT, OUTPUT = "x", "y"


class Graph:
    """A graph from `x` (n, *shape) to one output; n may be any number of rows.

    Constants and nodes are named in the order they are added, so equal graphs have equal bytes.

    Args:
        shape: of a row; one width for a matrix.
        kind: of its numbers.
        beside: names and widths of further inputs float32 (n, width).
    """

    def __init__(self, *shape: int, kind: str = "float32", beside: Mapping[str, int] | None = None) -> None:
        self.shape, self.kind, self.beside = shape, kind, dict(beside or {})
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Keep an array; gives its name."""
        from onnx import numpy_helper

        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(values, dtype=dtype, order="C"), name))
        return name

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a standard operator; gives the name of its output. An empty name leaves an input out."""
        from onnx import helper

        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def columns(self, source: str, begin: int, end: int) -> str:
        """The columns [begin, end) of a matrix."""
        places = [self.constant([value], np.int64) for value in (begin, end, 1)]
        return self.node("Slice", source, *places)

    def picked(self, source: str, places: Any) -> str:
        """Some columns of a matrix, in any order."""
        return self.node("Gather", source, self.constant(places, np.int64), axis=1)

    def shaped(self, source: str, *shape: int) -> str:
        """The same values in another shape; -1 stands for what is left, 0 for the size that was there."""
        return self.node("Reshape", source, self.constant(shape, np.int64))

    def model(self, output: str, targets: int) -> bytes:
        """The model whose `y` float32 (n, targets) is that value."""
        from onnx import TensorProto, helper

        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.kind))
        given = [helper.make_tensor_value_info(INPUT, kind, [None, *self.shape])]
        given += [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width]) for name, width in self.beside.items()
        ]
        graph = helper.make_graph(
            [*self._nodes, helper.make_node("Identity", [output], [OUTPUT])],
            "volant",
            given,
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, targets])],
            self._constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="volant"
        )
        return bytes(model.SerializeToString(deterministic=True))
