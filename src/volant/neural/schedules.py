"""How a setting moves while a model trains: functions of the progress in [0, 1] that give a factor."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def constant(progress: float) -> float:
    """One, all the way."""
    return 1.0


def cosine(progress: float) -> float:
    """From one to zero along half a cosine.

    Source: Loshchilov and Hutter, SGDR (ICLR 2017).
    """
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def flat_cosine(progress: float) -> float:
    """One for the first half, then down to zero along half a cosine.

    Source: Holzmüller et al., Better by Default (NeurIPS 2024), appendix A.
    """
    return cosine(max(0.0, 2.0 * progress - 1.0))


def log_cosine(cycles: int) -> Schedule:
    """Cycles of a cosine, each twice as long as the one before; zero at the beginning and the end of each.

    Source: Holzmüller et al., Better by Default (NeurIPS 2024), section 3.1 (coslog4).
    """

    def factor(progress: float) -> float:
        return 0.5 * (1.0 - math.cos(2.0 * math.pi * math.log2(1.0 + (2**cycles - 1) * progress)))

    return factor


def warm(schedule: Schedule, share: float) -> Schedule:
    """A schedule that rises from zero during the first `share` of the training."""

    def factor(progress: float) -> float:
        return schedule(progress) * min(1.0, (progress + 1e-3) / share)

    return factor
