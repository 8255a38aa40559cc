"""The metrics of `regress`. Units are `y` (n,), the truth, and `f` (n,), the prediction."""

from __future__ import annotations

import math

import numpy as np

from volant.core.records import Batch
from volant.tasks import ranking
from volant.tasks.metrics import Measure, Resampled, mean_of, resampled


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


_LOSS = (0.0, math.inf)

_ALL = (
    Measure(
        "rmse",
        False,
        mean_of(squared_error, np.sqrt),
        "relative",
        "Root of the mean squared error, in the target's unit.",
        _LOSS,
        squared_error,
        np.sqrt,
    ),
    Measure(
        "mae",
        False,
        mean_of(absolute_error),
        "relative",
        "Mean absolute error, in the target's unit.",
        _LOSS,
        absolute_error,
    ),
    Measure("median_ae", False, resampled(_median_error), "relative", "Median absolute error.", _LOSS),
    Measure("r2", True, resampled(_explained), "absolute", "Share of the variance explained.", (-math.inf, 1.0)),
    Measure(
        "mape",
        False,
        resampled(_percentage_error),
        "relative",
        "Mean absolute error as a share of the truth; rows whose truth is 0 are left out.",
        _LOSS,
    ),
    Measure("spearman", True, resampled(_spearman), "absolute", "Correlation of the ranks.", (-1.0, 1.0)),
)

METRICS = {metric.name: metric for metric in _ALL}
