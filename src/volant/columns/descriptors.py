"""What can be told of pictures by plain arithmetic: how edges run, where which colours are, how it looks from afar.

Source: Dalal and Triggs, Histograms of Oriented Gradients, 2005; the normalisation and the 31 numbers per cell are
those of Felzenszwalb et al., Object Detection with Discriminatively Trained Part-Based Models, 2010, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.columns.media import over_files
from volant.columns.pixels import Form, key_of, many

VERSION = 1
"""Rises when the same pixels come out differently."""

GRID = 8
"""Cells along each side."""

DIRECTIONS = 18
THUMBNAIL = 8
SHADES = 4
"""Steps of each colour in the histogram."""

_LOUDEST = 0.2
_QUIET = 1e-4
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

EDGES_WIDTH = GRID * GRID * (DIRECTIONS + DIRECTIONS // 2 + 4)
COLOURS_WIDTH = SHADES**3 + GRID // 4 * (GRID // 4) * 6
WIDTH = EDGES_WIDTH + COLOURS_WIDTH + THUMBNAIL * THUMBNAIL * 3


def described(cells: np.ndarray, side: int, mode: str = "stretch", threads: int = 1) -> np.ndarray:
    """Pictures (n,), looked at as `side` × `side` pixels, to float32 (n, `WIDTH`), NaN where missing.

    What was described before is remembered with the file.
    """
    form = Form(side, side, mode)

    def make(files: Sequence[bytes]) -> np.ndarray:
        return describe(many(files, form, threads))

    places, found = over_files(cells, key_of(f"described {VERSION}", {"side": side, "mode": mode}), make)
    if len(places) == len(cells) and len(cells):
        return found
    out = np.full((len(cells), WIDTH), np.nan, dtype=np.float32)
    if len(places):
        out[places] = found
    return out


def describe(x: np.ndarray) -> np.ndarray:
    """Pixels uint8 (n, side, side, 3), a side of a multiple of 8, to float32 (n, `WIDTH`)."""
    rgb = x.astype(np.float32) / np.float32(255)
    return np.concatenate([edges(rgb @ _LUMA), colours(x, rgb), thumbnail(rgb)], axis=1)


def edges(grey: np.ndarray) -> np.ndarray:
    """Shades in [0, 1], (n, side, side), to histograms of the directions in which they rise, (n, `EDGES_WIDTH`)."""
    n, side, _ = grey.shape
    wide = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]
    down = wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]
    size = np.sqrt(across**2 + down**2)
    turn = np.arctan2(down, across) * np.float32(DIRECTIONS / (2 * np.pi)) + np.float32(DIRECTIONS)
    low = np.floor(turn)
    part = turn - low
    cell = np.arange(side) * GRID // side
    place = ((np.arange(n)[:, None, None] * GRID + cell[:, None]) * GRID + cell[None, :]) * DIRECTIONS
    first = low.astype(np.int64) % DIRECTIONS
    count = n * GRID * GRID * DIRECTIONS
    sums = np.bincount((place + first).ravel(), (size * (1 - part)).ravel(), count)
    sums += np.bincount((place + (first + 1) % DIRECTIONS).ravel(), (size * part).ravel(), count)
    return _normalised(sums.reshape(n, GRID, GRID, DIRECTIONS).astype(np.float32) * np.float32((GRID / side) ** 2))


def _normalised(signed: np.ndarray) -> np.ndarray:
    """Histograms (n, g, g, 18) relative to their neighbourhoods: 18 signed, 9 unsigned, 4 sums per cell."""
    half = DIRECTIONS // 2
    plain = signed[..., :half] + signed[..., half:]
    energy = np.pad((plain**2).sum(axis=3), ((0, 0), (1, 1), (1, 1)), mode="edge")
    blocks = np.sqrt(energy[:, :-1, :-1] + energy[:, 1:, :-1] + energy[:, :-1, 1:] + energy[:, 1:, 1:] + _QUIET)
    both = np.concatenate([signed, plain], axis=3)
    total = np.zeros_like(both)
    sums = []
    for top in (0, 1):
        for left in (0, 1):
            norm = blocks[:, top : top + GRID, left : left + GRID, None]
            tame = np.minimum(both / norm, np.float32(_LOUDEST))
            total += tame
            sums.append(tame[..., :DIRECTIONS].sum(axis=3, keepdims=True))
    parts = np.concatenate([total * np.float32(0.5), *(s * np.float32(0.2357) for s in sums)], axis=3)
    return parts.reshape(len(signed), -1)


def colours(x: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """How often colours occur (roots of shares), and mean and spread of each in the quarters, (n, `COLOURS_WIDTH`)."""
    n, side = x.shape[:2]
    step = (x.astype(np.int64) * SHADES) >> 8
    place = (step[..., 0] * SHADES + step[..., 1]) * SHADES + step[..., 2] + np.arange(n)[:, None, None] * SHADES**3
    shares = np.bincount(place.ravel(), minlength=n * SHADES**3).reshape(n, -1) / (side * side)
    half = side // 2
    quarters = rgb.reshape(n, 2, half, 2, half, 3)
    mean, spread = quarters.mean(axis=(2, 4)), quarters.std(axis=(2, 4))
    parts = [np.sqrt(shares), mean.reshape(n, -1), spread.reshape(n, -1)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def thumbnail(rgb: np.ndarray) -> np.ndarray:
    """The picture from afar: means of 8 × 8 parts, (n, 192)."""
    n, side = rgb.shape[:2]
    small = side // THUMBNAIL
    means: np.ndarray = rgb.reshape(n, THUMBNAIL, small, THUMBNAIL, small, 3).mean(axis=(2, 4))
    return means.reshape(n, -1)
