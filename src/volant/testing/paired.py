"""Accuracy with its interval, and two models compared on the same rows, without any library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Share:
    """A share of `n` rows with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def accuracy(right: Sequence[bool]) -> Share:
    """The share of right answers.

    Source: E. B. Wilson, Journal of the American Statistical Association 22, 1927.

    >>> accuracy([True] * 9 + [False])
    Share(value=0.9, low=0.5958, high=0.9821, n=10)
    """
    n, share = len(right), sum(right) / len(right)
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return Share(share, round(middle - half, 4), round(middle + half, 4), n)


@dataclass(frozen=True)
class Paired:
    """How much more often the second is right than the first, with the 95 % interval and McNemar's exact p."""

    difference: float
    low: float
    high: float
    p_value: float

    @property
    def is_better(self) -> bool:
        """Whether the second is better beyond chance."""
        return self.p_value < 0.05 and self.low > 0


def compare(first: Sequence[bool], second: Sequence[bool]) -> Paired:
    """Two models on the same rows: `first` and `second` tell where each is right.

    Source: Q. McNemar, Psychometrika 12, 1947, in its exact, two-sided form.

    >>> compare([False] * 8 + [True] * 92, [True] * 100).is_better
    True
    """
    n = len(first)
    gained = sum(b and not a for a, b in zip(first, second, strict=True))
    lost = sum(a and not b for a, b in zip(first, second, strict=True))
    difference = (gained - lost) / n
    error = math.sqrt(max(gained + lost - (gained - lost) ** 2 / n, 0.0)) / n
    return Paired(difference, difference - Z * error, difference + Z * error, _sign_test(gained, lost))


def _sign_test(gained: int, lost: int) -> float:
    """Two-sided probability of a split at least this uneven when either side is as likely."""
    total = gained + lost
    ways = sum(math.comb(total, k) for k in range(min(gained, lost) + 1))
    return float(min(1.0, 2 * ways / 2**total))
