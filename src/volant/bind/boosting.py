"""What the libraries that boost trees are given: matrices, and a deadline between two rounds."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Part:
    """A matrix float32 (n, k), targets (n,), weights (n,)."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray


class Deadline:
    """Tells after each round whether one more, as long as the longest so far, would end too late.

    With infinite `seconds` no clock is read.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started = None if seconds == float("inf") else time.monotonic()
        self._before = self._started or 0.0
        self._longest = 0.0

    def over(self) -> bool:
        """Whether boosting must stop now; to be asked once per round."""
        if self._started is None:
            return False
        now = time.monotonic()
        self._longest, self._before = max(self._longest, now - self._before), now
        return now - self._started + self._longest > self._seconds


def sleep_while_waiting() -> None:
    """Ask OpenMP, before a library starts it, that threads sleep while they wait.

    Threads that spin make boosting up to nine times slower when other work shares the cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
