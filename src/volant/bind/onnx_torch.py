"""Networks of torch as ONNX: traced, written with standard operators, rid of whatever tells where it was made."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

OPSET, IR = 20, 9
_TRACING = threading.Lock()
"""Tracing keeps state of the whole process."""


def exported(module: Any, examples: Sequence[Any], names: Sequence[str], output: str = "y") -> bytes:
    """The ONNX model of a module, for any number of rows.

    Args:
        module: in the state for prediction.
        examples: one tensor per input, of at least two rows.
        names: of the inputs.
        output: name of what it gives.

    Raises:
        RuntimeError: neither of torch's two exporters can write it.
    """
    with _TRACING, _quiet():
        try:
            model = _by_export(module, tuple(examples), list(names), output)
        except Exception:  # whatever the newer exporter cannot do yet
            model = _by_tracing(module, tuple(examples), list(names), output)
    return _clean(model)


def _by_export(module: Any, examples: tuple[Any, ...], names: list[str], output: str) -> Any:
    import torch

    rows = torch.export.Dim("rows")
    return torch.onnx.export(
        module,
        examples,
        dynamo=True,
        dynamic_shapes=tuple({0: rows} for _ in examples),
        input_names=names,
        output_names=[output],
        opset_version=OPSET,
        verbose=False,
    ).model_proto


def _by_tracing(module: Any, examples: tuple[Any, ...], names: list[str], output: str) -> Any:
    import onnx
    import torch

    into = io.BytesIO()
    torch.onnx.export(
        module,
        examples,
        into,
        dynamo=False,
        dynamic_axes={name: {0: "rows"} for name in (*names, output)},
        input_names=names,
        output_names=[output],
        opset_version=OPSET,
    )
    return onnx.load_from_string(into.getvalue())


@contextmanager
def _quiet() -> Iterator[None]:
    """While the exporters work: what they log and warn of is for their developers."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _clean(model: Any) -> bytes:
    """The model without notes on its making; equal networks have equal bytes."""
    from onnx import helper

    graph = model.graph
    graph.name, graph.doc_string, model.doc_string = "volant", "", ""
    graph.ClearField("value_info")
    listed = [model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer]
    for part in listed:
        part.ClearField("metadata_props")
        if hasattr(part, "doc_string"):
            part.ClearField("doc_string")
    for place, node in enumerate(graph.node):
        node.name = f"n{place}"
    used = {node.domain for node in graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    model.ClearField("opset_import")
    model.opset_import.extend(kept or [helper.make_opsetid("", OPSET)])
    model.ir_version, model.producer_name, model.producer_version = IR, "volant", ""
    return bytes(model.SerializeToString(deterministic=True))


def joined(first: bytes, second: bytes) -> bytes:
    """Two models as one: the output `features` of the first flows into the input `x` of the second."""
    import onnx
    from onnx import compose

    one, two = (compose.add_prefix(onnx.load_from_string(m), p) for m, p in ((first, "a/"), (second, "b/")))
    for model in (one, two):
        del model.opset_import[:]
        model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
        model.ir_version = IR
    merged = compose.merge_models(one, two, io_map=[("a/features", "b/x")])
    for value in (*merged.graph.input, *merged.graph.output):
        _rename(merged.graph, value.name, value.name.partition("/")[2])
    return _clean(merged)


def _rename(graph: Any, before: str, after: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == before:
                    names[place] = after
    for value in (*graph.input, *graph.output):
        value.name = after if value.name == before else value.name


def apart(model: bytes, inputs: Sequence[np.ndarray], expected: np.ndarray, batches: Sequence[int]) -> float:
    """The largest difference between what an ONNX model says and what is expected, over batches of some sizes.

    Differences count relative to the largest expected value where that is more than one.
    """
    ask = _asking(model, 1)
    worst, scale = 0.0, max(1.0, float(np.abs(expected).max()))
    for size in batches:
        for begin in range(0, len(expected), size):
            rows = slice(begin, begin + size)
            said = ask([x[rows] for x in inputs])
            worst = max(worst, float(np.abs(said - expected[rows]).max()) / scale)
    return worst


def answers(model: bytes, inputs: Sequence[np.ndarray], threads: int = 1, batch: int = 256) -> np.ndarray:
    """What an ONNX model says of arrays whose first dimension is the rows."""
    ask = _asking(model, threads)
    parts = [ask([x[begin : begin + batch] for x in inputs]) for begin in range(0, len(inputs[0]), batch)]
    return np.concatenate(parts)


def _asking(model: bytes, threads: int) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def ask(given: Sequence[np.ndarray]) -> np.ndarray:
        found: np.ndarray = session.run(None, dict(zip(names, given, strict=True)))[0]
        return found

    return ask
