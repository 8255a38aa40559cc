"""Answers from several views of a picture beside those from one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.evaluate.pictures.network import PictureNetwork
from volant.evaluate.pictures.robust import Shaken, share


def shifted(pixels: np.ndarray, down: int, across: int) -> np.ndarray:
    """Pictures (n, height, width, channels) moved by some pixels, mirrored at the edges."""
    pad = [(0, 0), (abs(down), abs(down)), (abs(across), abs(across)), (0, 0)]
    wide = np.pad(pixels, pad, mode="reflect")
    top, left = abs(down) + down, abs(across) + across
    return wide[:, top : top + pixels.shape[1], left : left + pixels.shape[2]]


def views(network: PictureNetwork, pixels: np.ndarray, others: Sequence[np.ndarray], truth: np.ndarray) -> list[Shaken]:
    """Accuracy by one view, by a picture and its mirror image, and by those two moved in two directions as well.

    Source: the six views are those of Jordan, 94% on CIFAR-10 in 3.29 Seconds (2024), section 3.5.
    """
    reach = max(1, round(min(pixels.shape[1:3]) / 32))
    one = network.said(pixels, others)
    mirror = 0.5 * (one + network.said(np.ascontiguousarray(pixels[:, :, ::-1]), others))
    moved = np.zeros_like(one)
    for by in (-reach, reach):
        view = shifted(pixels, by, by)
        for turned in (view, view[:, :, ::-1]):
            moved += 0.25 * network.said(np.ascontiguousarray(turned), others)
    named = (("one view", one), ("with its mirror image", mirror), ("six views", 0.5 * mirror + 0.5 * moved))
    return [
        Shaken(name, count, *share(said.argmax(axis=1) == truth), len(truth))
        for count, (name, said) in zip((1, 2, 6), named, strict=True)
    ]
