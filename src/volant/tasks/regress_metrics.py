"""The metrics of `regress`. Units are `y` (n,), the truth, and `f` (n,), the prediction.

Where intervals are given, `low` and `high` (n,) are their ends, `promised` (n,) the share of truths they should hold.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from volant.core.records import Batch
from volant.tasks import ranking
from volant.tasks.metrics import Resampled, mean_measure, measure


def squared_error(units: Batch) -> np.ndarray:
    """(n,)"""
    return np.asarray((units["y"] - units["f"]) ** 2)


def absolute_error(units: Batch) -> np.ndarray:
    """(n,)"""
    return np.asarray(np.abs(units["y"] - units["f"]))


def _median_error(units: Batch) -> Resampled:
    errors = absolute_error(units)
    order = np.argsort(errors, kind="stable")
    ranked = errors[order]

    def value(weights: np.ndarray) -> np.ndarray:
        below = np.cumsum(weights[:, order], axis=1)  # (B, n)
        half = below[:, -1:] / 2
        last = len(ranked) - 1
        lower = np.minimum((below < half).sum(axis=1), last)
        upper = np.minimum((below <= half).sum(axis=1), last)
        return np.where(half[:, 0] > 0, (ranked[lower] + ranked[upper]) / 2, np.nan)

    return value


def _explained(units: Batch) -> Resampled:
    y, error = units["y"], squared_error(units)

    def value(weights: np.ndarray) -> np.ndarray:
        middle = (weights @ y) / weights.sum(axis=1)
        spread = (weights * (y - middle[:, None]) ** 2).sum(axis=1)
        return np.where(spread > 0, 1.0 - (weights @ error) / spread, np.nan)

    return value


def _percentage_error(units: Batch) -> Resampled:
    usable = units["y"] != 0
    shares = absolute_error(units)[usable] / np.abs(units["y"][usable])
    return lambda weights: np.asarray(weights[:, usable] @ shares / weights[:, usable].sum(axis=1))


def _spearman(units: Batch) -> Resampled:
    return ranking.spearman(units["y"], units["f"])


def covered(units: Batch) -> np.ndarray:
    """Whether the truth lies in the interval, (n,), 0.0 or 1.0."""
    return np.asarray((units["low"] <= units["y"]) & (units["y"] <= units["high"]), dtype=np.float64)


def interval_loss(units: Batch) -> np.ndarray:
    """The width of the interval and, where it misses the truth, by how much, times 2 / (1 - promised share), (n,).

    Source: Gneiting and Raftery, Strictly Proper Scoring Rules, 2007, section 6.2.
    """
    y, low, high = units["y"], units["low"], units["high"]
    missed = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return np.asarray(high - low + 2.0 / (1.0 - units["promised"]) * missed)


_LOSS = (0.0, math.inf)
_INTERVAL = ("low", "high", "promised")

_ALL = (
    mean_measure(
        "rmse",
        squared_error,
        "Root of the mean squared error, in the target's unit.",
        relative=True,
        bounds=_LOSS,
        link=np.sqrt,
    ),
    mean_measure("mae", absolute_error, "Mean absolute error, in the target's unit.", relative=True, bounds=_LOSS),
    measure("median_ae", _median_error, "Median absolute error, in the target's unit.", relative=True, bounds=_LOSS),
    measure("r2", _explained, "Share of the variance explained.", greater=True, bounds=(-math.inf, 1.0)),
    measure(
        "mape",
        _percentage_error,
        "Mean absolute error as a share of the truth; rows whose truth is 0 are left out.",
        relative=True,
        bounds=_LOSS,
    ),
    measure("spearman", _spearman, "Correlation of the ranks.", greater=True, bounds=(-1.0, 1.0)),
    replace(
        mean_measure("coverage", covered, "Share of the truths that lie in their interval.", greater=True),
        needs=_INTERVAL,
    ),
    replace(
        mean_measure(
            "interval_score",
            interval_loss,
            "Mean width of the intervals, and a fine for every truth outside in proportion to how far it lies.",
            relative=True,
            bounds=_LOSS,
        ),
        needs=_INTERVAL,
    ),
)

METRICS = {metric.name: metric for metric in _ALL}
