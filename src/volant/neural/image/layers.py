"""Layers that several networks for pictures share."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Shape:
    """The pixels of a picture as they come: height, width, channels (3, or 1 for grey)."""

    height: int
    width: int
    channels: int = 3

    @property
    def side(self) -> int:
        """The shorter side."""
        return min(self.height, self.width)


class Pixels(nn.Module):
    """Pixels uint8 (n, height, width, channels) to numbers (n, channels, height, width), centred and scaled.

    What is no uint8 is taken for pixels in [0, 255] that were changed on the way (mixed, turned, made brighter).
    """

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self, center: Sequence[float], spread: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("center", torch.tensor(center, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.permute(0, 3, 1, 2).to(torch.float32) - self.center) * (1.0 / self.spread)


def pixels_of(pictures: torch.Tensor) -> Pixels:
    """The scaling that some pictures uint8 (n, height, width, channels) need, by channel."""
    values = pictures.to(torch.float32).flatten(0, 2)
    spread = values.std(dim=0).clamp_min(8.0)
    return Pixels(values.mean(dim=0).tolist(), spread.tolist())


class Norm(nn.BatchNorm2d):
    """Batch normalisation with a bias and no scale, whose statistics follow the last few batches.

    Source: Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU (2024), section 3.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-5, momentum=0.4)
        self.weight.requires_grad = False


def dirac(filters: torch.Tensor) -> None:
    """Let the first filters of a convolution hand on what comes in.

    Source: as `Norm`, section 3.2.
    """
    with torch.no_grad():
        width = min(filters.shape[0], filters.shape[1])
        nn.init.dirac_(filters[:width])


class Peak(nn.Module):
    """The largest value of each channel: (n, channels, height, width) to (n, channels)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(dim=(2, 3))


class Mean(nn.Module):
    """The mean of each channel: (n, channels, height, width) to (n, channels)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


class Dropout(nn.Module):
    """Values left out at random while training, drawn from dice of the training's own."""

    def __init__(self, share: float, dice: torch.Generator) -> None:
        super().__init__()
        self.share, self.dice = share, dice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.share:
            return x
        kept = torch.rand(x.shape, generator=self.dice) >= self.share
        return x * (kept.to(x.dtype) / (1.0 - self.share)).to(x.device)


class Skipped(nn.Module):
    """Whole rows of a branch left out at random while training (stochastic depth), before it is added.

    Source: Huang et al., Deep Networks with Stochastic Depth (ECCV 2016).
    """

    def __init__(self, share: float, dice: torch.Generator) -> None:
        super().__init__()
        self.share, self.dice = share, dice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.share:
            return x
        kept = torch.rand(len(x), generator=self.dice) >= self.share
        factors = (kept.to(x.dtype) / (1.0 - self.share)).to(x.device)
        return x * factors.view(-1, *[1] * (x.ndim - 1))


_BEGINNING = threading.Lock()


@contextmanager
def begun_at(seed: int) -> Iterator[None]:
    """While this lasts, layers begin at weights that follow from the seed, whatever else goes on in the process."""
    with _BEGINNING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
