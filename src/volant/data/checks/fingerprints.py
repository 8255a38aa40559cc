"""Pictures that are almost copies: found by fingerprints of their shades, and compared pixel by pixel.

A fingerprint tells for each pair of neighbouring shades which one is brighter; it changes little when a picture is
saved again, made smaller, brightened or sharpened. Its 240 bits are cut into bands, and pictures that agree in a whole
band are compared, so that not every picture is compared with every other one.

Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, for hashes by differences.
"""

from __future__ import annotations

import numpy as np

from volant.columns.pixels import Form, pixels
from volant.data.checks.hashing import distinct_pairs, matching
from volant.data.splits import GOLDEN, mix

BITS = 16 * 15
BAND = 15
NEAR = 30
"""Bits of 240 in which the fingerprints of almost equal pictures may differ."""

LEAST_SPREAD = 4.0
"""Standard deviation of the shades below which a picture shows too little to be told from others."""

ALIKE = 0.985
"""Correlation of the shades, at 64 × 64 pixels, from which on two pictures are almost copies."""

MOST_COMPARED = 3_000
_CLOSE = Form(64, 64, channels=1)


def near_pairs(shades: np.ndarray, cells: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pictures that are almost copies but not the same file: positions (p,) and (p,).

    Args:
        shades: the pictures in grey, (n, 16, 16), NaN where missing.
        cells: the files, objects (n,).
        codes: equal for equal files, (n,).
    """
    usable = np.flatnonzero(shades.reshape(len(shades), -1).std(axis=1) >= LEAST_SPREAD)  # NaN is not
    if len(usable) < 2:
        return usable, usable
    prints = fingerprints(shades[usable])
    left, right = _candidates(prints)
    near = (prints[left] != prints[right]).sum(axis=1) <= NEAR
    left, right = usable[left[near]], usable[right[near]]
    other = codes[left] != codes[right]
    left, right = left[other], right[other]
    if len(left) > MOST_COMPARED:
        chosen = np.sort(np.random.default_rng(0).choice(len(left), MOST_COMPARED, replace=False))
        left, right = left[chosen], right[chosen]
    close = {int(i): _close(cells[i]) for i in np.unique(np.concatenate([left, right]))}
    agree = [float(close[int(a)] @ close[int(b)]) for a, b in zip(left, right, strict=True)]
    sure = np.array(agree, dtype=np.float64) >= ALIKE
    return left[sure], right[sure]


def fingerprints(shades: np.ndarray) -> np.ndarray:
    """Which of two neighbours, from left to right, is brighter: bool (n, 240)."""
    return np.asarray((shades[:, :, 1:] > shades[:, :, :-1]).reshape(len(shades), -1))


def _candidates(prints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose fingerprints agree in a whole band."""
    powers = np.uint64(1) << np.arange(BAND, dtype=np.uint64)
    bands = (prints.reshape(len(prints), BITS // BAND, BAND) * powers).sum(axis=2)  # (n, bands)
    found = []
    with np.errstate(over="ignore"):
        for band in range(bands.shape[1]):
            rows = np.flatnonzero(bands[:, band])  # a band without any rise says nothing
            left, right = matching(mix(bands[rows, band] * GOLDEN))
            found.append((rows[left], rows[right]))
    return distinct_pairs(found, len(prints))


def _close(cell: object) -> np.ndarray:
    """The shades of a picture from nearby, centred and of length one, (4,096,)."""
    shades = pixels(bytes(cell), _CLOSE).astype(np.float64).ravel()  # type: ignore[call-overload]
    shades -= shades.mean()
    length = float(np.linalg.norm(shades))
    return shades / length if length > 0 else shades
