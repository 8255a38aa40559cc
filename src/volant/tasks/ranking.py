"""Metrics of order: areas under curves and rank correlation, weighted, with ties counted right."""

from __future__ import annotations

import numpy as np

from volant.tasks.metrics import Resampled


def groups(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order that sorts `scores` ascending, and where in it each group of equal scores starts."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    return order, starts


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return values if len(starts) == values.shape[1] else np.add.reduceat(values, starts, axis=1)


def roc_area(scores: np.ndarray, positive: np.ndarray) -> Resampled:
    """Probability that a positive outranks a negative, ties counting half; NaN without one of each."""
    order, starts = groups(scores)
    hit = positive[order].astype(np.float64)

    def value(weights: np.ndarray) -> np.ndarray:
        ranked = weights[:, order]  # (B, n)
        yes = _sums(ranked * hit, starts)
        no = _sums(ranked, starts) - yes
        below = np.cumsum(no, axis=1)
        area = np.vecdot(yes, below) - np.vecdot(yes, no) / 2
        return np.asarray(area / (yes.sum(axis=1) * below[:, -1]))

    return value


def average_precision(scores: np.ndarray, positive: np.ndarray) -> Resampled:
    """Precision at each threshold, weighted by the gain in recall there; NaN without a positive."""
    order, starts = groups(-scores)
    hit = positive[order].astype(np.float64)

    def value(weights: np.ndarray) -> np.ndarray:
        ranked = weights[:, order]  # (B, n)
        yes = _sums(ranked * hit, starts)
        found = np.cumsum(yes, axis=1)
        every = np.cumsum(_sums(ranked, starts), axis=1)
        precision = found / np.maximum(every, np.finfo(np.float64).tiny)
        return np.asarray(np.vecdot(yes, precision) / found[:, -1])

    return value


def _midranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    order, starts = groups(values)
    sums = _sums(weights[:, order], starts)
    middle = np.cumsum(sums, axis=1) - sums / 2
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    return np.asarray(middle[:, group])


def spearman(left: np.ndarray, right: np.ndarray) -> Resampled:
    """Correlation of weighted mid-ranks; NaN where one side is constant."""

    def value(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1, keepdims=True)
        a, b = (_midranks(weights, side) for side in (left, right))  # (B, n) each
        a -= (weights * a).sum(axis=1, keepdims=True) / total
        b -= (weights * b).sum(axis=1, keepdims=True) / total
        spread = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
        return np.asarray((weights * a * b).sum(axis=1) / spread)

    return value
