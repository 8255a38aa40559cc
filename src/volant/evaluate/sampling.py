"""Resampling units: rows of one key move together, draws follow from a seed, work is bounded.

The bootstrap is Bayesian: each key gets an exponential weight, so no resample lacks a class and none
repeats. Its lower tail reaches further where losses are skewed towards harm, as an honest bound must.
Source: Rubin, The Bayesian Bootstrap, 1981.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MOST_DRAWS = 1_000
LEAST_DRAWS = 200
BUDGET = 24_000_000
"""Weights drawn per interval; a table too large for 1,000 draws gets fewer, down to 200."""

PARTS = 40
"""Where even 200 draws are too many, each of so many parts of the keys is left out once instead."""

MOST_BLOCKS = 20_000
"""Keys beyond so many are put together into blocks at random before means are resampled."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Units:
    """How units depend on each other and how much they weigh.

    `place` tells the key of each unit as a number below `size`, (n,). `weight` is (n,), float64.
    """

    place: np.ndarray
    size: int
    weight: np.ndarray

    def effective(self) -> float:
        """How many keys of equal weight would be as informative. Source: Kish, Survey Sampling, 1965."""
        totals = np.bincount(self.place, self.weight, self.size)
        squares = float((totals**2).sum())
        return float(totals.sum()) ** 2 / squares if squares > 0 else 0.0

    def heaviest(self) -> float:
        """The share of the weight that lies on one key, the heaviest."""
        totals = np.bincount(self.place, self.weight, self.size)
        return float(totals.max() / totals.sum()) if totals.sum() > 0 else 0.0

    def blocks(self, seed: int) -> Units:
        """The same with so few keys that means can be resampled fast."""
        if self.size <= MOST_BLOCKS:
            return self
        block = np.random.default_rng(seed).permutation(self.size) % MOST_BLOCKS
        return Units(block[self.place], MOST_BLOCKS, self.weight)


def units_by(keys: np.ndarray | None, weight: np.ndarray | None, n: int) -> Units:
    """Units with their keys, in the order in which keys first occur; without keys each stands alone."""
    weights = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
    if keys is None:
        return Units(np.arange(n), n, weights)
    names, first, place = np.unique(np.asarray(keys).astype(str), return_index=True, return_inverse=True)
    rank = np.empty(len(names), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(names))
    return Units(rank[place], len(names), weights)


def seed_of(seed: int, name: str) -> int:
    """A seed of its own for `name`, so that results do not depend on what else is computed."""
    return (seed * 0x9E3779B1 + zlib.crc32(name.encode())) & 0xFFFFFFFF


def draws_for(cost: int, most: int = MOST_DRAWS) -> int:
    """How many resamples a metric gets that works on `cost` numbers per resample."""
    return int(np.clip(BUDGET // max(cost, 1), LEAST_DRAWS, most))


def draw(size: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Weights of keys, (b, size) at a time, `draws` rows in all; the same for the same seed."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // max(size, 1))
    for start in range(0, draws, step):
        yield rng.standard_exponential((min(step, draws - start), size))


def leave_out(units: Units, seed: int) -> Iterator[np.ndarray]:
    """Weights of units (b, n) at a time, `PARTS` rows in all, each without one part of the keys."""
    part = (np.random.default_rng(seed).permutation(units.size) % PARTS)[units.place]
    step = max(1, _CHUNK // len(part))
    for start in range(0, PARTS, step):
        absent = np.arange(start, min(start + step, PARTS))[:, None]
        yield (part != absent) * units.weight
