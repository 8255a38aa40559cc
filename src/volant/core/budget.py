"""How much work a stage may do: seconds on a clock, or work units that never read one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from volant.core.clock import Clock
from volant.errors import BadInput

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Budget:
    """Either `seconds` or `units` is given. A unit is one fit of one configuration on one fold."""

    seconds: float | None = None
    units: int | None = None

    @staticmethod
    def parse(text: str) -> Budget:
        """Read `"60s"`, `"5m"`, `"1.5h"` or `"12 units"`.

        Raises:
            BadInput: code `budget-invalid`.
        """
        time = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h)\s*", text)
        work = re.fullmatch(r"\s*(\d+)\s*units?\s*", text)
        if time and float(time[1]) > 0:
            return Budget(seconds=float(time[1]) * _SECONDS[time[2]])
        if work:
            return Budget(units=int(work[1]))
        raise BadInput(
            "a budget is a time or a number of work units",
            code="budget-invalid",
            got=repr(text),
            fix='write it as "60s", "5m", "1h" or "12 units"',
        )

    def __str__(self) -> str:
        return f"{self.units} units" if self.units is not None else f"{self.seconds:g}s"


class Spending:
    """A budget being spent. Under a work budget `remaining_seconds` is infinite and no clock is read."""

    def __init__(self, budget: Budget, clock: Clock | None = None, started: float | None = None) -> None:
        self.budget = budget
        self._monotonic: Callable[[], float] = (clock or Clock()).monotonic
        self._started = started if started is not None else (self._monotonic() if budget.seconds else 0.0)
        self.units = 0

    def spend(self, units: int) -> None:
        """Note that work was done."""
        self.units += units

    def remaining_seconds(self) -> float:
        """Seconds left before the deadline; below zero after it."""
        if self.budget.seconds is None:
            return float("inf")
        return self._started + self.budget.seconds - self._monotonic()

    def affords(self, units: int, seconds: float) -> bool:
        """Whether work of that size still fits."""
        if self.budget.units is not None:
            return self.units + units <= self.budget.units
        return seconds <= self.remaining_seconds()
