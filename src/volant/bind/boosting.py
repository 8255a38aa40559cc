"""What the libraries that boost trees are given: matrices, and a deadline between two rounds."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Part:
    """A matrix float32 (n, k), targets (n,), weights (n,)."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray


WARM = 6
"""Rounds after which it is known how long one takes."""
WHOLE = 20.0
"""Rounds, times the learning rate, that boosting needs, about."""
MOST_RATE, MOST_FACTOR = 0.25, 5.0


class Boosted(NamedTuple):
    """A library's model and how it came about.

    `rounds` are those to use, of the `tried` ones; `rate` is the learning rate, which is raised where time is short.
    """

    model: Any
    rounds: int
    tried: int
    rate: float


class Deadline:
    """Tells after each round whether one more, as long as the longest so far, would end too late.

    With infinite `seconds` no clock is read.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started = None if seconds == float("inf") else time.monotonic()
        self._before = self._started or 0.0
        self._longest = 0.0
        self._ends: list[float] = []
        self._rated = False

    def over(self) -> bool:
        """Whether boosting must stop now; to be asked once per round."""
        if self._started is None:
            return False
        now = time.monotonic()
        self._longest, self._before = max(self._longest, now - self._before), now
        if len(self._ends) < WARM:
            self._ends.append(now)
        return now - self._started + self._longest > self._seconds

    def rate(self, rate: float, rounds: int) -> float | None:
        """A larger learning rate, once it is known that the time does not suffice for the rounds a small one needs.

        To be asked once per round, after `over`; None where the rate stays as it is.
        """
        if self._started is None or self._rated or len(self._ends) < WARM:
            return None
        self._rated = True
        each = (self._ends[-1] - self._ends[0]) / (WARM - 1)
        affordable = (self._seconds - self._before + self._started) / max(each, 1e-6)
        factor = min(min(WHOLE / rate, rounds) / max(affordable, 1.0), MOST_FACTOR)
        return max(min(rate * factor, MOST_RATE), rate) if factor > 1.0 else None


def sleep_while_waiting() -> None:
    """Ask OpenMP, before a library starts it, that threads sleep while they wait.

    Threads that spin make boosting up to nine times slower when other work shares the cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
