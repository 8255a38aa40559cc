"""The network for tables: numbers squashed and cut into pieces, categories embedded, members that share weights.

Source: Gorishniy et al., TabM (ICLR 2025), the variant `mini`; Holzmüller et al., Better by Default (NeurIPS 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from volant.neural.architecture import Architecture, Inputs

ACTIVATIONS = {"relu": torch.relu, "selu": torch.selu, "silu": nn.functional.silu, "mish": nn.functional.mish}
FEW_VALUES = 8
"""Numbers with no more values than this are not cut into pieces."""


@dataclass(frozen=True)
class Pieces:
    """Piecewise-linear encoding: piece j is how far number `column[j]` is on its way from `low` on, in [0, 1].

    `middle` is its mean, which is taken off.

    Source: Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning (NeurIPS 2022), 3.2.
    """

    column: np.ndarray
    low: np.ndarray
    slope: np.ndarray
    middle: np.ndarray


def squashed(x: torch.Tensor) -> torch.Tensor:
    """Numbers bent smoothly so that they stay within (-3, 3).

    Source: Holzmüller et al., Better by Default (NeurIPS 2024), section 3.1.
    """
    return x * torch.rsqrt(1.0 + (x / 3.0) ** 2)


def embedding_width(size: int) -> int:
    """How many numbers stand for one of `size` codes."""
    return min(8, round(1.6 * size**0.56))


def pieces_of(x: np.ndarray, most: int) -> Pieces:
    """Cut the numbers of a matrix (n, k), squashed already, at quantiles into at most `most` pieces each.

    Numbers with few values are left alone.
    """
    column, low, slope = [], [], []
    for place, values in enumerate(x.T):
        if most and len(np.unique(values)) > FEW_VALUES:
            edges = np.unique(np.quantile(values, np.linspace(0, 1, most + 1)).astype(np.float32))
            wide = np.diff(edges) > 1e-6
            low += edges[:-1][wide].tolist()
            slope += (1.0 / np.diff(edges)[wide]).tolist()
            column += [place] * int(wide.sum())
    at = np.array(column, dtype=np.int64)
    lows, slopes = np.array(low, dtype=np.float32), np.array(slope, dtype=np.float32)
    middle = np.clip((x[:, at] - lows) * slopes, 0, 1).mean(axis=0) if len(at) else lows
    return Pieces(at, lows, slopes, middle.astype(np.float32))


class TableNetwork(nn.Module):
    """From a matrix (n, width) to the outputs of each member, (members, n, outputs).

    All members share the hidden layers; each has signs and scales of its own for what goes in, and a head of its own.
    The heads begin at zero with `start` (outputs,) as their bias, so that an untrained network gives that.
    """

    def __init__(
        self, inputs: Inputs, architecture: Architecture, pieces: Pieces, start: np.ndarray, dice: torch.Generator
    ) -> None:
        super().__init__()
        self.dice = dice
        self.inputs, self.architecture = inputs, architecture
        self.dropout = 0.0
        self.kind = torch.float32
        for name in ("column", "low", "slope", "middle"):
            self.register_buffer(name, torch.from_numpy(getattr(pieces, name)))
        self.hot, self.embedded = split_codes(inputs.sizes, architecture.one_hot)
        hot_column, hot_value = _hot(inputs, self.hot)
        self.register_buffer("hot_column", hot_column)
        self.register_buffer("hot_value", hot_value)
        first = inputs.numbers + inputs.plain
        self.register_buffer("code_places", torch.tensor([first + i for i in self.embedded], dtype=torch.int64))
        self.register_buffer("missing_codes", torch.tensor([inputs.sizes[i] - 1.0 for i in self.embedded]))
        self.tables = nn.ParameterList([_table(inputs.sizes[i], dice) for i in self.embedded])
        width = inputs.numbers + inputs.plain + len(pieces.column) + len(hot_column)
        width += sum(table.shape[1] for table in self.tables)
        self.adapter = _signs(architecture.members, width, dice)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for size in architecture.layers:
            self.weights.append(nn.Parameter(torch.randn(width, size, generator=dice) / math.sqrt(max(width, 1))))
            self.biases.append(nn.Parameter(0.5 * torch.randn(size, generator=dice)))
            width = size
        self.heads = nn.Parameter(torch.zeros(architecture.members, width, len(start)))
        bias = torch.from_numpy(start.astype(np.float32)).repeat(architecture.members, 1, 1)
        self.head_biases = nn.Parameter(bias)
        self.activation = ACTIVATIONS[architecture.activation]

    def size(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs of each member; hidden layers are reckoned in `kind` while training, else in float32."""
        rows, members = len(x), self.architecture.members
        kind = self.kind if self.training else torch.float32
        z = self.features(x).to(kind)
        if self.adapter is not None:
            z = (z * self.adapter.to(kind)).view(members * rows, -1)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            z = self._dropped(self.activation(torch.addmm(bias.to(kind), z, weight.to(kind))), rows)
        return torch.baddbmm(self.head_biases, z.float().view(members, rows, -1), self.heads)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What the members see: squashed numbers, plain columns, pieces, embeddings."""
        end = self.inputs.numbers
        numbers = squashed(x[:, :end])
        parts = [numbers, x[:, end : end + self.inputs.plain]]
        if len(self.column):
            parts.append(((numbers[:, self.column] - self.low) * self.slope).clamp(0.0, 1.0) - self.middle)
        if len(self.hot_column):
            parts.append((x[:, self.hot_column] == self.hot_value).to(x.dtype))
        codes = x[:, end + self.inputs.plain :]
        parts += [table[codes[:, i].long()] for i, table in zip(self.embedded, self.tables, strict=True)]
        return torch.cat(parts, dim=1)

    def _dropped(self, z: torch.Tensor, rows: int) -> torch.Tensor:
        """Units left out at random while training, the same ones in every member: to draw them takes time."""
        if not self.training or not self.dropout:
            return z
        kept = (torch.rand(rows, z.shape[1], generator=self.dice) >= self.dropout).to(z.dtype) / (1.0 - self.dropout)
        return (z.view(-1, rows, z.shape[1]) * kept).view(z.shape)


def split_codes(sizes: Sequence[int], one_hot: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The places of the codes that become one column per value, and of those that are embedded."""
    hot = tuple(i for i, size in enumerate(sizes) if size - 2 <= one_hot)
    return hot, tuple(i for i in range(len(sizes)) if i not in hot)


def _hot(inputs: Inputs, places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """For each column that tells one value of a code: where in the matrix the code is, and the value.

    The code of what is missing has no column, so that all of its columns are zero.
    """
    first = inputs.numbers + inputs.plain
    pairs = [(first + i, value) for i in places for value in range(inputs.sizes[i] - 1)]
    columns, values = ([pair[side] for pair in pairs] for side in (0, 1))
    return torch.tensor(columns, dtype=torch.int64), torch.tensor(values, dtype=torch.float32)


def _table(size: int, dice: torch.Generator) -> nn.Parameter:
    """An embedding table; the codes of what is rare and of what is missing begin at zero."""
    table = 0.3 * torch.randn(size, embedding_width(size), generator=dice)
    table[-2:] = 0.0
    return nn.Parameter(table)


def _signs(members: int, width: int, dice: torch.Generator) -> nn.Parameter | None:
    """A sign per member and input, or None for a single member."""
    if members == 1:
        return None
    return nn.Parameter(torch.randint(0, 2, (members, 1, width), generator=dice) * 2.0 - 1.0)


def arrays(network: TableNetwork) -> dict[str, Any]:
    """The network's numbers, by the names of its attributes."""
    lists = {name: [p.detach().numpy() for p in getattr(network, name)] for name in ("tables", "weights", "biases")}
    single = {name: value.detach().numpy() for name, value in network.state_dict().items() if "." not in name}
    return {**lists, **single}
