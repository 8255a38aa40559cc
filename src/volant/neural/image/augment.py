"""Augmentation of whole batches at once: where pixels are taken from, how they look, and how rows are mixed.

All of it is drawn from the dice of the batch, so a batch is a function of the seed and of its place. The dice are
thrown on the processor, whatever device the pictures lie on: there the pixels are worked on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from volant.neural.image.design import MIXED, Augmentation


def moved(
    pictures: np.ndarray, places: np.ndarray, how: Augmentation, flipped: np.ndarray, dice: torch.Generator
) -> np.ndarray:
    """The pictures at some places (n, height, width, channels), shifted and flipped while they are read."""
    if not isinstance(pictures, np.ndarray):
        pictures, places = pictures[places], np.arange(len(places))
    shifts = _shifts(pictures.shape[1:3], how, flipped, dice)
    if shifts is None:
        return np.ascontiguousarray(pictures[places])
    down, across = shifts
    found: np.ndarray = pictures[places[:, None, None], down[:, :, None], across[:, None, :]]
    return found


def moved_there(x: torch.Tensor, how: Augmentation, flipped: np.ndarray, dice: torch.Generator) -> torch.Tensor:
    """The same for pictures (n, height, width, channels) that lie on a device, as they were drawn there."""
    shifts = _shifts(x.shape[1:3], how, flipped, dice)
    if shifts is None:
        return x
    down, across = (torch.from_numpy(places).to(x.device) for places in shifts)
    each = torch.arange(len(x), device=x.device)
    return x[each[:, None, None], down[:, :, None], across[:, None, :]]


def _shifts(
    sizes: Sequence[int], how: Augmentation, flipped: np.ndarray, dice: torch.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Where each picture's lines (n, height) and columns (n, width) come from; None where all stay in place."""
    reach = max(1, round(how.shift * min(sizes))) if "crop" in how.names else 0
    if not reach and not flipped.any():
        return None
    by = torch.randint(-reach, reach + 1, (2, len(flipped)), generator=dice).numpy()
    down, across = (_mirrored(np.arange(size) + by[axis][:, None], size) for axis, size in enumerate(sizes))
    across[flipped] = across[flipped, ::-1]
    return down, across


def _mirrored(places: np.ndarray, size: int) -> np.ndarray:
    """Places outside [0, size) mirrored at the edges."""
    return (size - 1) - np.abs((size - 1) - np.abs(places))


def warped(x: torch.Tensor, how: Augmentation, dice: torch.Generator) -> torch.Tensor:
    """Parts of pictures (n, height, width, channels) shown larger, and turned, by one interpolation; float32."""
    n = len(x)
    drawn = torch.rand(4, n, generator=dice).to(x.device)
    least = how.zoom if "zoom" in how.names else 1.0
    size = torch.sqrt(least + (1.0 - least) * drawn[0])
    angle = (2.0 * drawn[1] - 1.0) * math.radians(how.degrees) * float("rotate" in how.names)
    slack = 1.0 - size
    matrix = torch.zeros(n, 2, 3, device=x.device)
    matrix[:, 0, 0] = matrix[:, 1, 1] = size * torch.cos(angle)
    matrix[:, 0, 1], matrix[:, 1, 0] = -size * torch.sin(angle), size * torch.sin(angle)
    matrix[:, 0, 2], matrix[:, 1, 2] = slack * (2.0 * drawn[2] - 1.0), slack * (2.0 * drawn[3] - 1.0)
    grid = nn.functional.affine_grid(matrix, [n, x.shape[3], *x.shape[1:3]], align_corners=False)
    planes = x.permute(0, 3, 1, 2).to(torch.float32)
    shown = nn.functional.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)
    return shown.permute(0, 2, 3, 1)


def looked(x: torch.Tensor, how: Augmentation, dice: torch.Generator) -> torch.Tensor:
    """Pictures (n, height, width, channels) with other colours, other looks, or a hole."""
    if "randaugment" in how.names:
        x = randaugment(x.to(torch.float32), dice)
    if "colour" in how.names:
        x = coloured(x.to(torch.float32), 0.3 * _signed(3, len(x), dice).to(x.device))
    if "erase" in how.names:
        x = erased(x, how.hole, dice)
    return x


def _signed(count: int, n: int, dice: torch.Generator) -> torch.Tensor:
    """Numbers in [-1, 1), (count, n, 1, 1, 1)."""
    return (2.0 * torch.rand(count, n, generator=dice) - 1.0).view(count, n, 1, 1, 1)


def coloured(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast and saturation changed by shares `by` (3, n, 1, 1, 1)."""
    x = x * (1.0 + by[0])
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = middle + (x - middle) * (1.0 + by[1])
    grey = x.mean(dim=3, keepdim=True)
    return (grey + (x - grey) * (1.0 + by[2])).clamp(0.0, 255.0)


def erased(x: torch.Tensor, side: float, dice: torch.Generator) -> torch.Tensor:
    """A square of each picture replaced by the picture's mean colour.

    Source: DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout (2017).
    """
    n, height, width = x.shape[:3]
    hole = max(1, round(side * min(height, width)))
    top, left = ((torch.rand(n, generator=dice) * size).to(x.device) for size in (height, width))
    down = (torch.arange(height, device=x.device) - top[:, None]).abs() * 2 <= hole
    across = (torch.arange(width, device=x.device) - left[:, None]).abs() * 2 <= hole
    mean = x.to(torch.float32).mean(dim=(1, 2), keepdim=True).to(x.dtype)
    return torch.where((down[:, :, None] & across[:, None, :])[..., None], mean, x)


def _posterised(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    step = 2.0 ** (1.0 + 4.0 * by.abs()).round()
    return torch.floor(x / step) * step


def _stretched(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    low, high = x.amin(dim=(1, 2), keepdim=True), x.amax(dim=(1, 2), keepdim=True)
    return (x - low) * (255.0 / (high - low).clamp_min(1.0))


def _sharpened(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    planes = x.permute(0, 3, 1, 2)
    soft = nn.functional.avg_pool2d(planes, 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)
    return soft + (x - soft) * (1.0 + 0.9 * by)


def _turned(x: torch.Tensor, by: torch.Tensor, kind: int) -> torch.Tensor:
    """Turned (0), sheared along either axis (1, 2), or moved along either (3, 4), as strongly as `by` says."""
    n, amount = len(x), by.view(-1)
    matrix = torch.eye(2, 3, device=x.device).repeat(n, 1, 1)
    if kind == 0:
        angle = amount * math.radians(30.0)
        matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle)
        matrix[:, 0, 1], matrix[:, 1, 0] = -torch.sin(angle), torch.sin(angle)
    else:
        places = {1: (0, 1), 2: (1, 0), 3: (0, 2), 4: (1, 2)}
        matrix[:, places[kind][0], places[kind][1]] = amount * (0.3 if kind < 3 else 0.4)
    grid = nn.functional.affine_grid(matrix, [n, x.shape[3], *x.shape[1:3]], align_corners=False)
    planes = nn.functional.grid_sample(x.permute(0, 3, 1, 2), grid, padding_mode="reflection", align_corners=False)
    return planes.permute(0, 2, 3, 1)


def _channelled(which: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    def change(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        return coloured(x, torch.stack([0.7 * by if i == which else torch.zeros_like(by) for i in range(3)]))

    return change


OPERATIONS: tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], ...] = (
    lambda x, by: x,
    _channelled(0),
    _channelled(1),
    _channelled(2),
    _posterised,
    lambda x, by: torch.where(x >= 255.0 * (1.0 - 0.6 * by.abs()), 255.0 - x, x),
    _stretched,
    _sharpened,
    *[lambda x, by, kind=kind: _turned(x, by, kind) for kind in range(5)],
)


def randaugment(x: torch.Tensor, dice: torch.Generator, count: int = 2) -> torch.Tensor:
    """`count` operations drawn for each picture float32 (n, height, width, channels), each as strong as drawn.

    Source: Cubuk et al., RandAugment (NeurIPS 2020).
    """
    for _ in range(count):
        which = torch.randint(len(OPERATIONS), (len(x),), generator=dice)
        by = _signed(1, len(x), dice)[0].to(x.device)
        out = x.clone()
        for place, operation in enumerate(OPERATIONS):
            rows = torch.nonzero(which == place)[:, 0].to(x.device)
            if len(rows):
                out[rows] = operation(x[rows], by[rows])
        x = out.clamp(0.0, 255.0)
    return x


def mixed(
    x: torch.Tensor, targets: torch.Tensor, how: Augmentation, dice: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures mixed with others of the batch, or parts of them put in, and targets (n, k), here, mixed alike.

    Source: Zhang et al., mixup (ICLR 2018); Yun et al., CutMix (ICCV 2019).
    """
    ways = [name for name in MIXED if name in how.names]
    if not ways or len(x) < 2:
        return x, targets
    way = ways[int(torch.randint(len(ways), (1,), generator=dice))]
    other = torch.randperm(len(x), generator=dice)
    share, beside = _beta(how.mixing if way == "mixup" else 1.0, dice), x[other.to(x.device)]
    if way == "mixup":
        x = x.to(torch.float32) * share + beside.to(torch.float32) * (1.0 - share)
    else:
        x, share = _put_in(x, beside, share, dice)
    return x, targets * share + targets[other] * (1.0 - share)


def _beta(alpha: float, dice: torch.Generator) -> float:
    """A draw of Beta(alpha, alpha), by Jöhnk's method."""
    while True:
        u, v = (float(torch.rand(1, generator=dice)) ** (1.0 / alpha) for _ in range(2))
        if 0.0 < u + v <= 1.0:
            return u / (u + v)


def _put_in(x: torch.Tensor, other: torch.Tensor, share: float, dice: torch.Generator) -> tuple[torch.Tensor, float]:
    height, width = x.shape[1:3]
    tall, wide = (round(size * math.sqrt(1.0 - share)) for size in (height, width))
    top, left = (int(torch.randint(size + 1, (1,), generator=dice)) for size in (height - tall, width - wide))
    out = x.clone()
    out[:, top : top + tall, left : left + wide] = other[:, top : top + tall, left : left + wide]
    return out, 1.0 - tall * wide / (height * width)
