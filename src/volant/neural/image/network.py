"""A whole network: pixels, a body that makes features of them, what stands beside them in the table, a head."""

from __future__ import annotations

import torch
from torch import nn

from volant.neural.image.layers import Dropout, Pixels


class Beside(nn.Module):
    """Columns that stand beside a picture (n, inputs), already numbers, as features."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(x)
        return found


class ImageNetwork(nn.Module):
    """From pixels (n, height, width, channels), and columns beside them (n, k), to outputs (n, outputs).

    Args:
        pixels: how pixels become numbers.
        body: from them to features; its `width` says how many.
        outputs: of the head: one per class, or one for a number.
        beside: for the columns beside the picture, if there are any.
        dice: that the network draws from while it trains; the training that uses it draws from them too.
        scale: what the head's answers are multiplied with.
        dropout: share of features that is left out before the head, while training.
        mirrored: whether an answer is the mean of those for a picture and for its mirror image; not while training.
    """

    def __init__(
        self,
        pixels: Pixels,
        body: nn.Module,
        outputs: int,
        beside: Beside | None = None,
        *,
        dice: torch.Generator,
        scale: float = 1.0,
        dropout: float = 0.0,
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        self.pixels, self.body, self.beside, self.scale = pixels, body, beside, scale
        width = int(body.width) + (beside.width if beside is not None else 0)
        self.dice, self.dropout, self.mirrored = dice, Dropout(dropout, dice), mirrored
        self.head = nn.Linear(width, outputs)

    def features(self, x: torch.Tensor, beside: torch.Tensor | None = None) -> torch.Tensor:
        """What the head sees, (n, width)."""
        found: torch.Tensor = self.body(self.pixels(x))
        if self.beside is None or beside is None:
            return found
        return torch.cat([found, self.beside(beside).to(found.dtype)], dim=1)

    def forward(self, x: torch.Tensor, beside: torch.Tensor | None = None) -> torch.Tensor:
        said = self._said(x, beside)
        if self.mirrored and not self.training:
            said = 0.5 * (said + self._said(x.flip(2), beside))
        return said

    def _said(self, x: torch.Tensor, beside: torch.Tensor | None) -> torch.Tensor:
        found: torch.Tensor = self.head(self.dropout(self.features(x, beside))) * self.scale
        return found

    def size(self) -> int:
        """How many numbers it holds."""
        return sum(parameter.numel() for parameter in self.parameters())
