"""A first layer that is computed instead of learned: patches of the pictures turned and scaled to be uncorrelated.

Source: Page, How to Train Your ResNet (2018); Jordan, 94% on CIFAR-10 in 3.29 Seconds (2024), section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

MOST = 12
"""Directions that are kept; each makes two channels, one with either sign."""
LEAST = 5e-4
"""Added to the variances, so that hardly any detail is not blown up."""
NOTHING = 1e-6
"""Share of the largest variance below which a direction is left out: grey pictures have none in their colours."""


@dataclass(frozen=True)
class Patches:
    """Size and distance of the patches of the first layer."""

    size: int
    stride: int

    @staticmethod
    def of(side: int) -> Patches:
        """Patches that leave maps of 24 to 48 pixels of pictures with this side, and all of small ones."""
        stride = max(1, round(side / 40))
        return Patches(stride + 1, stride)


def directions(pictures: torch.Tensor, patches: Patches) -> torch.Tensor:
    """Filters (2k, channels, size, size) from scaled pictures (n, channels, height, width)."""
    size, channels = patches.size, pictures.shape[1]
    cut = pictures.unfold(2, size, patches.stride).unfold(3, size, patches.stride)
    flat = cut.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels * size * size).double()
    variance, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
    kept = variance.flip(0) > NOTHING * variance[-1]
    kept[MOST:] = False
    kept[0] = True  # where all pictures are the same there is still something to look through
    turned = vectors.flip(1).T[kept] / torch.sqrt(variance.flip(0)[kept] + LEAST)[:, None]
    turned = turned * torch.sign(turned.sum(dim=1, keepdim=True) + 1e-12)  # a direction has no sign of its own
    filters = turned.view(-1, channels, size, size).float()
    return torch.cat([filters, -filters])


def first_layer(filters: torch.Tensor, patches: Patches) -> nn.Conv2d:
    """The layer of these filters (2k, channels, size, size), which stay as they are; its biases learn."""
    layer = nn.Conv2d(filters.shape[1], filters.shape[0], patches.size, stride=patches.stride)
    layer.weight.data.copy_(filters)
    layer.weight.requires_grad = False
    nn.init.zeros_(layer.bias)
    return layer
