"""The metrics of `tag`.

Units are `y` (n, L) int64: 1 where a row carries a label, 0 where it does not, -1 where nobody has said; `p` (n, L),
the probability of each label; and `a` (n, L) int64, which labels were answered.
"""

from __future__ import annotations

import numpy as np

from volant.core.records import Batch
from volant.tasks.classify_metrics import LEAST
from volant.tasks.metrics import Resampled, mean_measure, measure
from volant.tasks.ranking import average_precision


def said(units: Batch) -> np.ndarray:
    """Which cells have a truth, (n, L)."""
    return np.asarray(units["y"] >= 0)


def surprises(units: Batch) -> np.ndarray:
    """Minus the logarithm of the probability that each truth was given, (n, L); 0 where there is none."""
    p, known = np.clip(units["p"], LEAST, 1.0 - LEAST), said(units)
    return np.asarray(np.where(known, -np.log(np.where(units["y"] == 1, p, 1.0 - p)), 0.0))


def _surprise(units: Batch) -> np.ndarray:
    return np.asarray(surprises(units).sum(axis=1) / np.maximum(said(units).sum(axis=1), 1))


def right(units: Batch) -> np.ndarray:
    """1.0 where all labels that somebody spoke of are answered as they are, else 0.0, (n,)."""
    return np.asarray(((units["a"] == units["y"]) | ~said(units)).all(axis=1), dtype=np.float64)


def _macro_f1(units: Batch) -> Resampled:
    known = said(units)
    true, guessed = (units["y"] == 1).astype(np.float64), ((units["a"] == 1) & known).astype(np.float64)
    both = true * guessed

    def value(weights: np.ndarray) -> np.ndarray:
        seen = weights @ true + weights @ guessed  # (B, L)
        f1 = np.divide(2 * (weights @ both), seen, out=np.zeros_like(seen), where=seen > 0)
        return np.asarray(f1.sum(axis=1) / (seen > 0).sum(axis=1))

    return value


def _mean_average_precision(units: Batch) -> Resampled:
    known = said(units)
    rows = [np.flatnonzero(column) for column in known.T]
    areas = [
        (some, average_precision(units["p"][some, place], units["y"][some, place] == 1))
        for place, some in enumerate(rows)
        if (units["y"][some, place] == 1).any()
    ]

    def value(weights: np.ndarray) -> np.ndarray:
        if not areas:
            return np.full(len(weights), np.nan)
        values = np.stack([area(weights[:, some]) for some, area in areas], axis=1)  # (B, labels)
        there = np.isfinite(values)
        return np.asarray(np.where(there, values, 0.0).sum(axis=1) / there.sum(axis=1))

    return value


_ALL = (
    mean_measure(
        "log_loss",
        _surprise,
        "Mean surprise at the truth of a label, over the labels of a row that are known; 0 is perfect.",
        relative=True,
        bounds=(0.0, float(-np.log(LEAST))),
    ),
    measure("macro_f1", _macro_f1, "Mean over labels of the harmonic mean of precision and recall.", greater=True),
    measure(
        "average_precision",
        _mean_average_precision,
        "Mean over labels of the mean precision over all levels of recall.",
        greater=True,
    ),
    mean_measure("exact_match", right, "Share of rows answered right in all their labels.", greater=True),
)

METRICS = {metric.name: metric for metric in _ALL}
