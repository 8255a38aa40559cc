"""The quick convolutional network: a computed first layer, groups of two convolutions, the peaks, a linear head.

Source: Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU (arXiv 2404.00498), here for pictures of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from volant.neural.image.layers import Norm, Peak, dirac
from volant.neural.image.whitening import Patches, directions, first_layer


class Group(nn.Module):
    """Two convolutions (more with `depth`), normalised; what follows the first is halved in height and width."""

    def __init__(self, inputs: int, width: int, depth: int, halve: bool) -> None:
        super().__init__()
        sizes = [inputs, *[width] * depth]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(Norm(width) for _ in range(depth))
        self.pool: nn.Module = nn.MaxPool2d(2) if halve else nn.Identity()
        self.bend = nn.GELU()
        for layer in self.convolutions:
            dirac(layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for place, (layer, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            y = layer(x)
            z = self.bend(norm(self.pool(y) if not place else y))
            x = x + z if place > 1 else z
        return x


class ConvNet(nn.Module):
    """From scaled pictures (n, channels, height, width) to features (n, widths[-1]).

    Args:
        pictures: some scaled pictures (k, channels, height, width), which the first layer is computed from.
        widths: of the groups; there are fewer of them where pictures are too small to be halved so often.
        depth: convolutions in each group.
        filters: of the first layer where they were computed before, (2k, channels, size, size).
    """

    def __init__(
        self, pictures: torch.Tensor, widths: Sequence[int], depth: int = 2, filters: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        height, width = pictures.shape[2:]
        patches = Patches.of(min(height, width))
        self.whiten = first_layer(directions(pictures, patches) if filters is None else filters, patches)
        side = (min(height, width) - patches.size) // patches.stride + 1
        inputs, groups = self.whiten.out_channels, []
        for size in widths:
            groups.append(Group(inputs, size, depth, halve=side >= 2))
            inputs, side = size, max(side // 2, 1)
        self.bend = nn.GELU()
        self.groups = nn.Sequential(*groups)
        self.peak = Peak()
        self.width = inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.peak(self.groups(self.bend(self.whiten(x))))
        return found


class Folded(nn.Module):
    """A group whose normalisation is part of its convolutions: to add and to scale by what is positive keeps peaks."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.pool, self.bend = group.pool, group.bend
        pairs = zip(group.convolutions, group.norms, strict=True)
        self.convolutions = nn.ModuleList(with_norm(layer, norm) for layer, norm in pairs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for place, layer in enumerate(self.convolutions):
            y = layer(x)
            z = self.bend(self.pool(y) if not place else y)
            x = x + z if place > 1 else z
        return x


def folded(network: ConvNet) -> nn.Module:
    """The same function without normalisation, as it is exported."""
    groups = nn.Sequential(*[Folded(group) for group in network.groups])
    return nn.Sequential(network.whiten, network.bend, groups, network.peak)


def with_norm(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution without biases and the normalisation behind it as one convolution."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    made = nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, groups=layer.groups
    )
    made.weight.data = (layer.weight * scale[:, None, None, None]).detach().clone()
    assert made.bias is not None
    made.bias.data = (norm.bias - norm.running_mean * scale).detach().clone()
    return made.to(memory_format=torch.channels_last)
