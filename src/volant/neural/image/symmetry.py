"""Whether a picture's mirror image means the same: of photographs it does, of letters it does not."""

from __future__ import annotations

import numpy as np

SIDE = 12
"""Pixels of a side at which pictures are looked at."""
MOST = 4_000
KEPT = 0.5
"""Share of what a plain classifier knows that it must still know of mirror images."""


def mirror_keeps(pictures: np.ndarray, classes: np.ndarray) -> bool:
    """Whether a ridge classifier fitted on one half of the rows still knows the other half when it is mirrored.

    Args:
        pictures: uint8 (n, height, width, channels).
        classes: indices (n,).
    """
    places = np.linspace(0, len(pictures) - 1, min(len(pictures), MOST)).astype(np.int64)
    x, y = _small(np.ascontiguousarray(pictures[places])), classes[places]
    known = np.unique(y)
    if len(places) < 40 or len(known) < 2:
        return True
    half = np.arange(len(x)) % 2 == 0
    flat = x.reshape(len(x), -1)
    center = flat[half].mean(axis=0)
    targets = (y[half, None] == known).astype(np.float64)
    wide = flat[half] - center
    gram = wide.T @ wide
    gram[np.diag_indices_from(gram)] += 0.03 * np.trace(gram) / len(gram) + 1e-6
    weights = np.linalg.solve(gram, wide.T @ (targets - targets.mean(axis=0)))
    chance = targets.mean(axis=0).max()

    def share(rows: np.ndarray) -> float:
        said = known[((rows.reshape(len(rows), -1) - center) @ weights + targets.mean(axis=0)).argmax(axis=1)]
        return float((said == y[~half]).mean()) - float(chance)

    straight, turned = share(x[~half]), share(x[~half][:, :, ::-1])
    return straight <= 0.02 or turned >= KEPT * straight


def _small(pictures: np.ndarray) -> np.ndarray:
    """Grey pictures float64 (n, SIDE, SIDE): each pixel the mean of those it stands for."""
    grey = pictures.mean(axis=3)
    for axis in (1, 2):
        size = grey.shape[axis]
        edges = np.linspace(0, size, min(SIDE, size) + 1).astype(np.int64)
        widths = np.diff(edges).reshape([-1 if i == axis else 1 for i in range(3)])
        grey = np.add.reduceat(grey, edges[:-1], axis=axis) / widths
    return np.asarray(grey)
