"""Residual networks with 18 and 50 layers.

Source: He et al., Deep Residual Learning for Image Recognition (CVPR 2016); the last scale of each block begins at
zero (Goyal et al., 2017), and small pictures are not made smaller by the first layer.
"""

from __future__ import annotations

import torch
from torch import nn

from volant.neural.image.layers import Mean

SMALL = 96
"""Side in pixels below which the first layer keeps the size."""


class Block(nn.Module):
    """Two convolutions, or with `wide` three of which the middle one is narrow, added to what came in."""

    def __init__(self, inputs: int, width: int, stride: int, wide: bool) -> None:
        super().__init__()
        outputs = 4 * width if wide else width
        sizes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        if not wide:
            sizes = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        layers: list[nn.Module] = []
        for a, b, size, step in sizes:
            layers += [nn.Conv2d(a, b, size, step, size // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])
        nn.init.zeros_(self.body[-1].weight)
        self.way: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.way = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.way(x))


class ResNet(nn.Module):
    """From scaled pictures (n, channels, height, width) to features: 512 of 18 layers, 2,048 of 50.

    Args:
        channels: of the pictures.
        side: of the pictures, the shorter one.
        layers: 18 or 50.
        width: of the first blocks; later ones are twice, four and eight times as wide.
    """

    def __init__(self, channels: int, side: int, layers: int = 18, width: int = 64) -> None:
        super().__init__()
        wide = layers == 50
        counts = (3, 4, 6, 3) if wide else (2, 2, 2, 2)
        first = (3, 1) if side < SMALL else (7, 2)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, first[0], first[1], first[0] // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Identity() if side < SMALL else nn.MaxPool2d(3, 2, 1),
        )
        blocks: list[nn.Module] = []
        inputs = width
        for stage, count in enumerate(counts):
            for place in range(count):
                blocks.append(Block(inputs, width << stage, 2 if stage and not place else 1, wide))
                inputs = (width << stage) * (4 if wide else 1)
        self.blocks = nn.Sequential(*blocks)
        self.mean = Mean()
        self.width = inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.mean(self.blocks(self.stem(x)))
        return found
