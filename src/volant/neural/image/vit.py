"""A small vision transformer: pictures cut into patches that attend to each other.

Source: Dosovitskiy et al., An Image is Worth 16x16 Words (ICLR 2021); Beyer et al., Better plain ViT baselines (2022).
"""

from __future__ import annotations

import torch
from torch import nn

from volant.neural.image.layers import Shape, Skipped

PATCHES = 64
"""Patches per picture, about."""


class Attention(nn.Module):
    """Each patch takes from all others what answers to it; queries and keys are of length one times a scale."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.given = nn.Linear(width, 3 * width, bias=False)
        self.said = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.said.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, patches, width = x.shape
        q, k, v = self.given(x).view(n, patches, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (n, heads, patches, size)
        q, k = (nn.functional.rms_norm(part, (part.shape[-1],)) for part in (q, k))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        found: torch.Tensor = self.said(mixed.transpose(1, 2).reshape(n, patches, width))
        return found


class Layer(nn.Module):
    """Attention, then two dense layers for each patch, both added to what came in."""

    def __init__(self, width: int, heads: int, skipped: Skipped) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        nn.init.zeros_(self.dense[2].weight)
        self.skipped = skipped

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.skipped(self.attention(self.before(x)))
        found: torch.Tensor = x + self.skipped(self.dense(self.between(x)))
        return found


class Vit(nn.Module):
    """From scaled pictures (n, channels, height, width) to features (n, width): the mean of the patches."""

    def __init__(
        self,
        shape: Shape,
        dice: torch.Generator,
        *,
        features: int = 192,
        depth: int = 6,
        skipped: float = 0.0,
    ) -> None:
        super().__init__()
        size = max(2, round((shape.height * shape.width / PATCHES) ** 0.5))
        self.cut = nn.Conv2d(shape.channels, features, size, size)
        count = (shape.height // size) * (shape.width // size)
        self.places = nn.Parameter(0.02 * torch.randn(1, count, features))
        self.layers = nn.Sequential(
            *[Layer(features, max(1, features // 64), Skipped(skipped * (i + 1) / depth, dice)) for i in range(depth)]
        )
        self.after = nn.LayerNorm(features)
        self.width = features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.cut(x).flatten(2).transpose(1, 2) + self.places  # (n, patches, features)
        found: torch.Tensor = self.after(self.layers(patches)).mean(dim=1)
        return found
