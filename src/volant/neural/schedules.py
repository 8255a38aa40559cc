"""How a setting moves while a model trains: functions of the progress in [0, 1] that give a factor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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


def linear(progress: float) -> float:
    """From one to zero along a line."""
    return 1.0 - progress


def triangle(peak: float, first: float = 0.0, last: float = 0.0) -> Schedule:
    """From `first` up to one at `peak`, then down to `last`, along lines."""

    def factor(progress: float) -> float:
        if progress < peak:
            return first + (1.0 - first) * progress / peak
        return 1.0 + (last - 1.0) * (progress - peak) / max(1.0 - peak, 1e-9)

    return factor


def one_cycle(peak: float = 0.3, first: float = 0.04, last: float = 1e-4) -> Schedule:
    """From `first` up to one at `peak`, then down to `last`, along halves of a cosine.

    Source: Smith and Topin, Super-Convergence (2018); the form with two cosines is that of PyTorch.
    """

    def factor(progress: float) -> float:
        if progress < peak:
            return 1.0 + (first - 1.0) * cosine(progress / peak)
        return last + (1.0 - last) * cosine((progress - peak) / max(1.0 - peak, 1e-9))

    return factor


def stepped(places: Sequence[float], by: float = 0.1) -> Schedule:
    """One, multiplied by `by` at each of the places."""
    return lambda progress: float(by ** sum(progress >= place for place in places))
