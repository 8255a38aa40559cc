"""The network of the tutorials: three convolutions, pooling after the first two, and two dense layers."""

from __future__ import annotations

import torch
from torch import nn

from volant.neural.image.layers import Shape

WIDTHS = (32, 64, 64)
DENSE = 64
MAP = 8
"""Side of the last maps, about; large pictures are pooled more coarsely, so that the dense layer stays small."""


class Cnn(nn.Module):
    """From scaled pictures (n, channels, height, width) to features (n, 64); the second dense layer is the head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        pool = max(2, round((shape.side / MAP) ** 0.5))
        height, width, inputs = shape.height, shape.width, shape.channels
        layers: list[nn.Module] = []
        for place, size in enumerate(WIDTHS):
            layers += [nn.Conv2d(inputs, size, 3, padding=1), nn.ReLU()]
            inputs = size
            if place < len(WIDTHS) - 1 and min(height, width) >= pool:
                layers.append(nn.MaxPool2d(pool))
                height, width = height // pool, width // pool
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Linear(inputs * height * width, DENSE)
        self.width = DENSE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.dense(self.convolutions(x).flatten(1)))
