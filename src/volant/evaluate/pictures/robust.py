"""What throws a network off: noise, blur, light, compression, and pixels moved against it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from volant.evaluate.pictures.network import CHUNK, PictureNetwork

SEVERITIES = (1, 2, 3)
REACHES = (1, 2, 4, 8)
"""How far pixels are moved, of 255."""
STEPS = 10


@dataclass(frozen=True)
class Shaken:
    """Accuracy under a corruption or an attack of some strength, with a 95 % interval (Wilson)."""

    name: str
    strength: float
    accuracy: float
    low: float
    high: float
    n: int


def share(right: np.ndarray) -> tuple[float, float, float]:
    """The share of trues with its Wilson interval."""
    n, z = len(right), 1.96
    p = float(right.mean()) if n else math.nan
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return p, max(0.0, middle - reach), min(1.0, middle + reach)


def _noise(x: np.ndarray, strength: int, dice: np.random.Generator) -> np.ndarray:
    return x + dice.normal(0, (8, 18, 32)[strength - 1], x.shape)


def _blur(x: np.ndarray, strength: int, dice: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma = (0.5, 1.0, 1.8)[strength - 1] * max(x.shape[1] / 32, 0.5)
    return np.asarray(gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest"))


def _brightness(x: np.ndarray, strength: int, dice: np.random.Generator) -> np.ndarray:
    sides = dice.choice([-1, 1], len(x))[:, None, None, None]
    return x + sides * (30, 60, 90)[strength - 1]


def _compressed(x: np.ndarray, strength: int, dice: np.random.Generator) -> np.ndarray:
    from PIL import Image

    out = np.empty_like(x)
    for place, picture in enumerate(np.clip(x, 0, 255).astype(np.uint8)):
        file = io.BytesIO()
        Image.fromarray(picture if picture.shape[2] == 3 else picture[..., 0]).save(
            file, "JPEG", quality=(40, 20, 8)[strength - 1]
        )
        decoded = np.asarray(Image.open(file), dtype=np.float32)
        out[place] = decoded if decoded.ndim == 3 else decoded[..., None]
    return out


CORRUPTIONS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "noise": _noise,
    "blur": _blur,
    "brightness": _brightness,
    "JPEG": _compressed,
}
"""Source of the kinds: Hendrycks and Dietterich, Benchmarking Neural Network Robustness (ICLR 2019)."""


def corrupted(
    network: PictureNetwork, pixels: np.ndarray, others: Sequence[np.ndarray], truth: np.ndarray, seed: int
) -> list[Shaken]:
    """Accuracy on pictures that are worse than those it was trained on."""
    found = []
    for name, change in CORRUPTIONS.items():
        for strength in SEVERITIES:
            worse = change(pixels.astype(np.float32), strength, np.random.default_rng([seed, strength]))
            said = network.said(np.clip(worse, 0, 255).astype(np.uint8), others)
            found.append(Shaken(name, strength, *share(said.argmax(axis=1) == truth), len(truth)))
    return found


def attacked(
    network: PictureNetwork, pixels: np.ndarray, others: Sequence[np.ndarray], truth: np.ndarray, steps: int
) -> list[Shaken]:
    """Accuracy on pictures whose pixels were moved against the network, by one step (FGSM) or by several (PGD).

    Source: Goodfellow et al., Explaining and Harnessing Adversarial Examples (ICLR 2015); Madry et al., Towards Deep
    Learning Models Resistant to Adversarial Attacks (ICLR 2018).
    """
    found = []
    for reach in REACHES:
        moved = _moved(network, pixels, others, truth, float(reach), steps)
        right = network.said(moved, others).argmax(axis=1) == truth
        found.append(Shaken("FGSM" if steps == 1 else "PGD", reach, *share(right), len(truth)))
    return found


def _moved(
    network: PictureNetwork,
    pixels: np.ndarray,
    others: Sequence[np.ndarray],
    truth: np.ndarray,
    reach: float,
    steps: int,
) -> np.ndarray:
    """Pixels as numbers float32, none of them moved by more than `reach`."""
    import torch

    size = reach if steps == 1 else 2.5 * reach / steps
    parts = []
    for begin in range(0, len(pixels), CHUNK):
        rows = slice(begin, begin + CHUNK)
        given = [torch.from_numpy(np.ascontiguousarray(x[rows])) for x in (pixels, *others)]
        x, labels = given[0].float(), torch.from_numpy(truth[rows].astype(np.int64))
        by = torch.zeros_like(x)
        for _ in range(steps):
            by.requires_grad_(True)
            loss = torch.nn.functional.cross_entropy(network.margins(x + by, given[1:]), labels, reduction="sum")
            (slope,) = torch.autograd.grad(loss, by)
            by = (by.detach() + size * slope.sign()).clamp(-reach, reach)
            by = (x + by).clamp(0, 255) - x
        parts.append((x + by).numpy())
    return np.concatenate(parts)
