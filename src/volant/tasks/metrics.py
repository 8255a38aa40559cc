"""How metrics are made: vectorised over resamples, bounded in memory, NaN where they are not defined."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from volant.core.protocols import Metric
from volant.core.records import Batch

CELLS = 1 << 18
"""Resampled weights that are worked on at once; small enough to stay in a processor's cache."""

Resampled = Callable[[np.ndarray], np.ndarray]
"""Weights (B, n) to values (B,)."""


def identity(values: np.ndarray) -> np.ndarray:
    """`values` as they are."""
    return values


@dataclass(frozen=True)
class Measure(Metric):
    """A metric that also tells the range of its values and, where it has one, its value per unit.

    Where `unit` is given, the metric is `link` of the weighted mean of `unit(units)`, an array (n,).
    """

    bounds: tuple[float, float] = (-math.inf, math.inf)
    unit: Callable[[Batch], np.ndarray] | None = None
    link: Callable[[np.ndarray], np.ndarray] = identity


def measure_of(metric: Metric) -> Measure:
    """`metric` itself if it is a `Measure`, else one that knows neither bounds nor values per unit."""
    if isinstance(metric, Measure):
        return metric
    return Measure(metric.name, metric.greater_is_better, metric.of, metric.scale, metric.summary)


def known(units: Batch) -> np.ndarray:
    """Which units have a truth to be judged by, (n,): not a class outside the problem, not a missing value."""
    truth = units["y"]
    return np.asarray(truth >= 0 if truth.dtype.kind in "iu" else np.isfinite(truth))


def take(units: Batch, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Some units, by mask or positions."""
    return {name: values[keep] for name, values in units.items()}


def _finite(units: Batch) -> bool:
    return all(bool(np.isfinite(v).all()) for v in units.values() if v.dtype.kind == "f")


def resampled(prepare: Callable[[Batch], Resampled]) -> Callable[[Batch, np.ndarray], np.ndarray]:
    """The `of` of a metric. `prepare(units)` does once what all resamples share and returns the rest.

    Units without a known truth are left out. Any prediction that is not finite makes every value NaN.
    """

    def of(units: Batch, weights: np.ndarray) -> np.ndarray:
        weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        keep = known(units)
        if not keep.all():
            units, weights = take(units, keep), weights[:, keep]
        if weights.shape[1] == 0 or not _finite(units):
            return np.full(len(weights), np.nan)
        value = prepare(units)
        step = max(1, CELLS // weights.shape[1])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.concatenate([value(weights[i : i + step]) for i in range(0, len(weights), step)])

    return of


def mean_of(
    unit: Callable[[Batch], np.ndarray], link: Callable[[np.ndarray], np.ndarray] = identity
) -> Callable[[Batch, np.ndarray], np.ndarray]:
    """The `of` of a metric that is `link` of a weighted mean of a value per unit."""

    def prepare(units: Batch) -> Resampled:
        values = unit(units)
        return lambda weights: link(weights @ values / weights.sum(axis=1))

    return resampled(prepare)
