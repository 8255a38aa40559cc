"""Tests that may be looked at after every event: betting on a mean, and confidence sequences that follow from it.

Against the claim "the mean is not above m" one bets, before each value, a share of one's wealth that the next value is
above m. If the claim is true, nobody can expect to win, and the probability of ever multiplying the wealth by 1/α is at
most α (Ville). So looking costs nothing, and no assumption about how values are distributed is made: only that none is
below a bound that is known beforehand. The wealth is spread over several stakes; what is lost by that is little.

Source: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STAKES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Shares of the largest stake that cannot ruin."""
_STEPS = 40


def log_wealth(values: np.ndarray, least: float, mean: float = 0.0) -> np.ndarray:
    """The logarithm of the wealth after each value, (n,), of whoever bets that the mean is above `mean`.

    >>> bool(log_wealth(np.ones(20), -1.0)[-1] > np.log(20))
    True

    Args:
        values: in the order in which they came, (n,).
        least: a bound that no value is below, itself below `mean`.
        mean: the claim is that the mean is not above it.
    """
    if not least < mean:
        raise ValueError("the least value must lie below the mean that is claimed")
    stakes = np.array(STAKES).reshape(-1, 1) / (mean - least)
    paths = np.cumsum(np.log1p(stakes * (np.maximum(values, least) - mean)), axis=1)
    return np.asarray(np.logaddexp.reduce(paths, axis=0) - np.log(len(STAKES)))


def first_sure(values: np.ndarray, least: float, alpha: float, mean: float = 0.0) -> int | None:
    """The number of values, from 1, after which the mean is surely above `mean`, or None where it is not.

    With probability 1 − `alpha` this never happens if the mean is not above it, however often one looks.
    """
    crossed = np.flatnonzero(log_wealth(values, least, mean) >= -np.log(alpha))
    return int(crossed[0]) + 1 if len(crossed) else None


@dataclass(frozen=True)
class Bounds:
    """What is known of a mean: with probability 1 − α it has lain between these at all times so far."""

    n: int
    mean: float
    low: float
    high: float


def bounds(values: np.ndarray, least: float, most: float, alpha: float) -> Bounds:
    """The confidence sequence of a mean after all of these values, which lie in [`least`, `most`].

    >>> found = bounds(np.tile([0.0, 1.0], 200), 0.0, 1.0, 0.05)
    >>> 0.3 < found.low < 0.5 < found.high < 0.7
    True
    """
    if not len(values):
        return Bounds(0, float("nan"), least, most)
    low = _lowest(values, least, most, alpha / 2)
    high = -_lowest(-values, -most, -least, alpha / 2)
    return Bounds(len(values), float(values.mean()), low, high)


def bounds_of_average(values: np.ndarray, least: float, most: float, alpha: float) -> Bounds:
    """Bounds of what these values are on average expected to be, where that may change from one to the next.

    They are looked at once, after all of them: a stretch of them that was better proves nothing of the whole. The
    product of 1 + λ(μᵢ − m) is at most 1 where the μᵢ are at most m on average, as the logarithm is concave.
    """
    if not len(values):
        return Bounds(0, float("nan"), least, most)
    low = _lowest(values, least, most, alpha / 2, peeked=False)
    high = -_lowest(-values, -most, -least, alpha / 2, peeked=False)
    return Bounds(len(values), float(values.mean()), low, high)


def _lowest(values: np.ndarray, least: float, most: float, alpha: float, *, peeked: bool = True) -> float:
    """The largest claim about the mean that is refuted from below; the wealth falls as the claim rises."""
    refuted, standing = least, most
    for _ in range(_STEPS):
        claim = (refuted + standing) / 2
        if claim <= least or claim >= most:
            break
        path = log_wealth(values, least, claim)
        if (path.max() if peeked else path[-1]) >= -np.log(alpha):
            refuted = claim
        else:
            standing = claim
    return float(refuted)


def spent(alpha: float, turn: int) -> float:
    """What the test of number 1, 2, … may spend of `alpha`, so that all of them together never spend more.

    Source: the sum of 1/k² over all k is π²/6 (Euler).
    """
    if turn < 1:
        raise ValueError("tests are counted from 1")
    return alpha * 6.0 / (np.pi**2 * turn**2)
