"""A trained network for pictures as an ONNX model, compared with the network itself before anything uses it."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import nn

from volant.bind.onnx_torch import apart, exported, joined
from volant.errors import Failure
from volant.neural.image.layers import Shape
from volant.neural.image.network import ImageNetwork
from volant.neural.image.written import Unwritten, written, written_head

APART = 2e-3
"""Difference of an answer, relative to the largest one, from which on an export is refused."""
SIZES, FEW, MANY = (1, 2, 7), 64, 256
"""Rows at once that an export is tried with on a few rows, how many these are, and rows at once for all of them."""
MOST_TRACED = 2
_TRACED: dict[str, bytes] = {}
"""Bodies as ONNX by what they are made of: those of pretrained networks are large, and fits on folds share them."""


def _model(network: ImageNetwork, given: list[torch.Tensor]) -> bytes:
    try:
        return written(network, Shape(*given[0].shape[1:]))
    except Unwritten:
        pass
    if network.mirrored:
        return exported(network, [values[:2] for values in given], ["x", "beside"][: len(given)])
    seen = _seeing(network, given[0][:2])
    return joined(seen, written_head(network))


class _Seeing(nn.Module):
    """What a network makes of pixels before its head."""

    def __init__(self, network: ImageNetwork) -> None:
        super().__init__()
        self.pixels, self.body = network.pixels, network.body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.body(self.pixels(x))
        return found


def _seeing(network: ImageNetwork, pictures: torch.Tensor) -> bytes:
    """The ONNX model from pixels to features; where nothing about it has changed it is not traced again."""
    seeing = _Seeing(network).eval()
    whole = hashlib.sha256(repr([list(pictures.shape[1:]), str(network.body)]).encode())
    for name, value in sorted(seeing.state_dict().items()):
        whole.update(name.encode() + value.contiguous().numpy().tobytes())
    key = whole.hexdigest()
    if key not in _TRACED:
        model = exported(seeing, [pictures], ["x"], "features")
        while len(_TRACED) >= MOST_TRACED:
            _TRACED.pop(next(iter(_TRACED)), None)
        _TRACED[key] = model
    return _TRACED[key]


def exported_network(network: ImageNetwork, pictures: torch.Tensor, beside: torch.Tensor | None = None) -> bytes:
    """The ONNX model of a network: `x` uint8 (n, height, width, channels), and `beside` (n, k), to `y` (n, outputs).

    Args:
        network: trained, on the processor.
        pictures: some real pictures (at least two) that the export is compared on.
        beside: the columns beside them.

    Raises:
        Failure: code `training-failed`: the exported model does not say what the network says.
    """
    network.eval()
    given = [pictures.contiguous()] if beside is None else [pictures.contiguous(), beside.contiguous()]
    model = _model(network, given)
    with torch.no_grad():
        said = [network(*(values[i : i + FEW] for values in given)) for i in range(0, len(pictures), FEW)]
    arrays, expected = [np.ascontiguousarray(values.numpy()) for values in given], torch.cat(said).numpy()
    few = apart(model, [values[:FEW] for values in arrays], expected[:FEW], SIZES)
    all_of_them = apart(model, arrays, expected, (min(MANY, len(pictures)),))
    if not (few <= APART and all_of_them <= APART):
        raise Failure(
            "a network and its export disagree",
            code="training-failed",
            got=f"differences of {few:.2g} and {all_of_them:.2g}",
            fix="report it with the network's kind and size; train.learners can leave it out",
        )
    return model
