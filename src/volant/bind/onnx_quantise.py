"""ONNX networks in eight bits, by ONNX Runtime's own tools."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

CONVOLUTIONS = ("Conv", "Gemm", "MatMul")


def operators(model: bytes) -> set[str]:
    """The operators that a model is made of."""
    import onnx

    return {node.op_type for node in onnx.load_from_string(model).graph.node}


class _Rows:
    """Rows for calibration, a few at a time, in the form that the tools ask for."""

    def __init__(self, batches: Sequence[Mapping[str, np.ndarray]]) -> None:
        self._waiting = iter(batches)

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self._waiting, None)

    def rewind(self) -> None:
        return None


@contextmanager
def _folder() -> Iterator[Path]:
    """A place for the tools, whose remarks are kept from the user."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(prefix="volant-") as place, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield Path(place)
    finally:
        logger.setLevel(before)


def static(model: bytes, batches: Sequence[Mapping[str, np.ndarray]]) -> bytes:
    """Weights and what flows between layers in eight bits, weights with a scale per channel.

    Args:
        model: in float32.
        batches: real inputs by name, from which the ranges of what flows are taken.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with _folder() as folder:
        (folder / "given.onnx").write_bytes(model)
        quant_pre_process(folder / "given.onnx", folder / "ready.onnx", skip_symbolic_shape=True)
        quantize_static(
            folder / "ready.onnx",
            folder / "small.onnx",
            _Rows(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(CONVOLUTIONS),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return (folder / "small.onnx").read_bytes()


def dynamic(model: bytes) -> bytes:
    """Weights in eight bits; what flows is scaled anew for each batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _folder() as folder:
        (folder / "given.onnx").write_bytes(model)
        quantize_dynamic(folder / "given.onnx", folder / "small.onnx", per_channel=True, weight_type=QuantType.QInt8)
        return (folder / "small.onnx").read_bytes()
