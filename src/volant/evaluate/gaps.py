"""Bounds for how far apart groups lie: from each group's own limits to limits of their largest difference.

Everything is closed-form, so it holds for groups of thirty rows as for groups of thirty thousand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Rate:
    """A mean with its limits, and how many rows are behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Distance:
    """The largest difference (or least ratio) between groups, its bounds, and the two groups it lies between."""

    value: float
    low: float
    high: float
    most: str = ""
    least: str = ""


NONE = Distance(math.nan, math.nan, math.nan)


def share_limits(share: float, n: float, alpha: float) -> tuple[float, float]:
    """Limits of a share, each wrong with probability `alpha`. Source: Wilson, Probable Inference, 1927."""
    z = NormalDist().inv_cdf(1 - alpha)
    centre, spread = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, min(share, (centre - spread) / scale)), min(1.0, max(share, (centre + spread) / scale))


def mean_limits(mean: float, variance: float, n: float, alpha: float) -> tuple[float, float]:
    """Limits of a mean of `n` effective values. Source: Student, The Probable Error of a Mean, 1908."""
    from scipy.special import stdtrit

    if n <= 1:
        return -math.inf, math.inf
    reach = float(-stdtrit(n - 1, alpha)) * math.sqrt(variance / (n - 1))
    return mean - reach, mean + reach


def difference_limits(a: Rate, b: Rate) -> tuple[float, float]:
    """Limits of a minus b from their own. Source: Zou and Donner, Construction of Confidence Limits About Effect
    Measures, 2008, equation 5; for shares: Newcombe, Interval Estimation for the Difference, 1998, method 10.
    """
    d = a.value - b.value
    return d - math.hypot(a.value - a.low, b.high - b.value), d + math.hypot(a.high - a.value, b.value - b.low)


def ratio_limits(a: Rate, b: Rate) -> tuple[float, float]:
    """Limits of a over b, both shares, from their own.

    Source: Donner and Zou, Closed-form Confidence Intervals for Functions of the Normal Mean, 2012, section 2.
    """
    product = a.value * b.value

    def limit(ours: float, theirs: float, sign: int) -> float:
        below = theirs * (2 * b.value - theirs)
        root = product**2 - ours * theirs * (2 * a.value - ours) * (2 * b.value - theirs)
        if below <= 0:
            return 0.0 if sign < 0 else math.inf
        return max(0.0, (product + sign * math.sqrt(max(0.0, root))) / below)

    return limit(a.low, b.high, -1), limit(a.high, b.low, 1)


def widest(named: Sequence[tuple[str, Rate]], strict: Sequence[tuple[str, Rate]]) -> Distance:
    """The largest difference between any two of the groups.

    Args:
        named: the groups with limits at the level that is asked for; what the largest difference may be at most.
        strict: the same with limits so much wider that all pairs hold at once; what it is at least.

    The upper bound need only hold for the two groups that lie furthest apart, the lower one for any two.
    """
    pairs = list(combinations(range(len(named)), 2))
    if not pairs:
        return NONE
    values = [abs(named[i][1].value - named[j][1].value) for i, j in pairs]
    high = max(max(map(abs, difference_limits(named[i][1], named[j][1]))) for i, j in pairs)
    low = 0.0
    for i, j in pairs:
        below, above = difference_limits(strict[i][1], strict[j][1])
        low = max(low, below, -above)
    i, j = pairs[int(np.argmax(values))]
    most, least = (i, j) if named[i][1].value >= named[j][1].value else (j, i)
    return Distance(max(values), min(low, max(values)), max(high, max(values)), named[most][0], named[least][0])


def lowest(named: Sequence[tuple[str, Rate]], strict: Sequence[tuple[str, Rate]]) -> Distance:
    """The least ratio of a group's share to another's; not a number where nobody is selected at all."""
    top = max((rate.value for _, rate in named), default=0.0)
    if len(named) < 2 or top <= 0:
        return NONE
    least = min(range(len(named)), key=lambda i: named[i][1].value)
    most = max(range(len(named)), key=lambda i: named[i][1].value)
    value = named[least][1].value / top
    others = [(i, j) for i in range(len(named)) for j in range(len(named)) if i != j]
    low = min(ratio_limits(named[i][1], named[j][1])[0] for i, j in others)
    high = min(ratio_limits(strict[i][1], strict[j][1])[1] for i, j in others)
    return Distance(value, min(low, value), max(min(high, 1.0), value), named[most][0], named[least][0])
