"""How metrics are made: vectorised over resamples, bounded in memory, NaN where they are not defined."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from volant.core.protocols import Metric
from volant.core.records import Batch

CELLS = 1 << 16
"""Resampled weights that are worked on at once; small enough to stay in a processor's cache."""

Resampled = Callable[[np.ndarray], np.ndarray]
"""Weights (B, n) to values (B,)."""


def identity(values: np.ndarray) -> np.ndarray:
    """`values` as they are."""
    return values


@dataclass(frozen=True)
class Measure(Metric):
    """A metric that can prepare itself for many resamples, and tells the range of its values.

    `ready(units)` does once what all resamples share, and takes weights (B, n) to values (B,). Where `unit`
    is given, the metric is `link` of the weighted mean of `unit(units)`, an array (n,).
    """

    ready: Callable[[Batch], Resampled] | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    unit: Callable[[Batch], np.ndarray] | None = None
    link: Callable[[np.ndarray], np.ndarray] = identity


def measure_of(metric: Metric) -> Measure:
    """`metric` itself if it is a `Measure`, else one that knows neither bounds nor values per unit."""
    return metric if isinstance(metric, Measure) else Measure(**vars(metric))


def ready(measure: Measure, units: Batch) -> Resampled:
    """What takes weights (B, n) to the measure's values (B,) for these units."""
    if measure.ready is not None:
        return measure.ready(units)
    return lambda weights: np.asarray(measure.of(units, weights))


def known(units: Batch) -> np.ndarray:
    """Which units have a truth to be judged by, (n,): not a class outside the problem, not a missing value.

    Of several labels one that is known is enough.
    """
    truth = units["y"]
    told = np.asarray(truth >= 0 if truth.dtype.kind in "iu" else np.isfinite(truth))
    return told if told.ndim == 1 else np.asarray(told.any(axis=1))


def take(units: Batch, keep: np.ndarray | slice) -> dict[str, np.ndarray]:
    """Some units, by mask, positions or slice."""
    return {name: values[keep] for name, values in units.items()}


def finite(units: Batch) -> bool:
    """Whether all numbers are: one prediction that is NaN makes every metric NaN."""
    return all(bool(np.isfinite(v).all()) for v in units.values() if v.dtype.kind == "f")


def prepared(prepare: Callable[[Batch], Resampled]) -> Callable[[Batch], Resampled]:
    """`prepare` with what all metrics need: the `ready` of a `Measure`.

    Units without a known truth are left out. Any prediction that is not finite makes every value NaN.
    Resamples are worked on a few at a time.
    """

    def begin(units: Batch) -> Resampled:
        keep = known(units)
        if not keep.all():
            units = take(units, keep)
        broken = not keep.any() or not finite(units)
        value = None if broken else prepare(units)

        def of(weights: np.ndarray) -> np.ndarray:
            weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
            if value is None:
                return np.full(len(weights), np.nan)
            weights = weights if keep.all() else weights[:, keep]
            step = max(1, CELLS // weights.shape[1])
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                return np.concatenate([value(weights[i : i + step]) for i in range(0, len(weights), step)])

        return of

    return begin


def mean_of(
    unit: Callable[[Batch], np.ndarray], link: Callable[[np.ndarray], np.ndarray] = identity
) -> Callable[[Batch], Resampled]:
    """The preparation of a metric that is `link` of a weighted mean of a value per unit."""

    def prepare(units: Batch) -> Resampled:
        values = unit(units)
        return lambda weights: link(weights @ values / weights.sum(axis=1))

    return prepare


def measure(
    name: str,
    prepare: Callable[[Batch], Resampled],
    summary: str,
    *,
    greater: bool = False,
    relative: bool = False,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Measure:
    """A metric from its preparation. Losses, absolute, between 0 and 1 unless said otherwise."""
    begin = prepared(prepare)
    scale = "relative" if relative else "absolute"
    return Measure(name, greater, lambda units, weights: begin(units)(weights), scale, summary, begin, bounds)


def mean_measure(
    name: str,
    unit: Callable[[Batch], np.ndarray],
    summary: str,
    *,
    greater: bool = False,
    relative: bool = False,
    bounds: tuple[float, float] = (0.0, 1.0),
    link: Callable[[np.ndarray], np.ndarray] = identity,
) -> Measure:
    """A metric that is `link` of the mean of `unit`."""
    made = measure(name, mean_of(unit, link), summary, greater=greater, relative=relative, bounds=bounds)
    return replace(made, unit=unit, link=link)


def applicable(metrics: Mapping[str, Metric], units: Batch) -> tuple[str, ...]:
    """The names of the metrics that these units have everything for."""
    return tuple(name for name, metric in metrics.items() if set(metric.needs) <= set(units))
