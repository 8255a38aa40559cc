"""How well one column alone tells another: leave-one-out prediction, vectorised, and tests on tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 2
FEW = 5


@dataclass(frozen=True)
class Outcome:
    """A target prepared for `skill`.

    `matrix` has shape (n, K): one column per class, or one column of ranks in [0, 1] for a number.
    `truth` has shape (n,): class indices, or the ranks.
    """

    matrix: np.ndarray
    truth: np.ndarray
    classes: bool

    @property
    def easy(self) -> int:
        """Rows that are right when the most frequent class is always answered."""
        return int(self.matrix.sum(axis=0).max()) if self.classes else 0


@dataclass(frozen=True)
class Skill:
    """How much better than the best constant answer: 1 is perfect, 0 none. `wrong` counts wrong rows."""

    score: float
    wrong: int


def class_outcome(codes: np.ndarray, most: int = 20) -> Outcome:
    """Class codes of shape (n,), none missing; the classes beyond the `most` frequent become one."""
    _, dense = np.unique(codes, return_inverse=True)
    order = np.argsort(-np.bincount(dense), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    truth = np.minimum(rank[dense], most)
    return Outcome(np.eye(truth.max() + 1)[truth], truth, True)


def number_outcome(values: np.ndarray) -> Outcome:
    """Finite values of shape (n,), as ranks: what follows is the same for any increasing transformation."""
    ranks = to_ranks(values)
    return Outcome(ranks[:, None], ranks, False)


def to_ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks scaled to [0, 1], shape (n,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((2 * ends - counts - 1) / (2 * max(len(values) - 1, 1)))[inverse])


def leave_one_out(values: np.ndarray, outcomes: np.ndarray, *, nominal: bool) -> np.ndarray:
    """Predict each row from the other rows with the same value, or where these are few, with the nearest.

    Args:
        values: the only input, shape (n,), float64; NaN is a value of its own.
        outcomes: what is predicted, shape (n, K).
        nominal: values are names without an order, so neighbours mean nothing.

    Returns:
        Means over the other rows, shape (n, K); the overall mean where there are none.
    """
    order = np.argsort(values, kind="stable")
    low, high = _windows(values[order], nominal)
    own = outcomes[order]
    totals = np.vstack([np.zeros(own.shape[1]), np.cumsum(own, axis=0)])
    others = (high - low - 1)[:, None]
    means = (totals[high] - totals[low] - own) / np.maximum(others, 1)
    predicted: np.ndarray = np.empty_like(means)
    predicted[order] = np.where(others > 0, means, outcomes.mean(axis=0))
    return predicted


def _windows(ordered: np.ndarray, nominal: bool) -> tuple[np.ndarray, np.ndarray]:
    """For sorted values, the half-open range of rows that each is predicted from."""
    n = len(ordered)
    empty = np.isnan(ordered)
    new = np.ones(n, dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]) & ~(empty[1:] & empty[:-1])
    starts = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    first, last = starts[group], np.append(starts[1:], n)[group]
    if nominal:
        return first, last
    alone = (last - first < FEW) & ~empty
    place, finite = np.arange(n), int(n - empty.sum())
    low = np.where(alone, np.maximum(place - NEIGHBOURS, 0), first)
    high = np.where(alone, np.minimum(place + NEIGHBOURS + 1, finite), last)
    return low, high


def skill(values: np.ndarray, outcome: Outcome, *, nominal: bool) -> Skill:
    """How well `values` alone predict, every row predicted without itself.

    For classes: the share of the majority's errors that is avoided. For numbers: R squared of the ranks.
    """
    predicted = leave_one_out(values, outcome.matrix, nominal=nominal)
    n = len(values)
    if outcome.classes:
        wrong = int((predicted.argmax(axis=1) != outcome.truth).sum())
        return Skill(1 - wrong / max(n - outcome.easy, 1), wrong)
    error = float(((predicted[:, 0] - outcome.truth) ** 2).sum())
    spread = float(((outcome.truth - outcome.truth.mean()) ** 2).sum())
    return Skill(1 - error / spread if spread else 0.0, n)


def cramers_v(table: np.ndarray) -> tuple[float, float]:
    """Association of two categorical columns from their counts, shape (R, C).

    Returns:
        Cramer's V without its bias, in [0, 1], and how many standard deviations chi squared lies above
        what independence gives.

    Source: Bergsma, A bias-correction for Cramer's V and Tschuprow's T, 2013.
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0].astype(np.float64)
    rows, columns = table.shape
    n = table.sum()
    if min(rows, columns) < 2 or n < 2:
        return 0.0, 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    chi2 = float(((table - expected) ** 2 / expected).sum())
    freedom = (rows - 1) * (columns - 1)
    phi2 = max(0.0, chi2 / n - freedom / (n - 1))
    size = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(phi2 / size)) if size > 0 else 0.0, float((chi2 - freedom) / np.sqrt(2 * freedom))


def correlation_ratio(groups: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """How much of the variance of the ranks of `values` lies between groups, bias removed.

    Args:
        groups: group indices, shape (n,).
        values: finite numbers, shape (n,).

    Returns:
        Epsilon squared in [0, 1], and how many standard deviations the between-group sum lies above chance.

    Source: Kruskal and Wallis, 1952; Kelley, 1935.
    """
    ranks = to_ranks(values)
    counts = np.bincount(groups)
    n, k = len(values), int((counts > 0).sum())
    variance = ranks.var() * n
    if k < 2 or n <= k or variance == 0:
        return 0.0, 0.0
    means = np.bincount(groups, ranks)[counts > 0] / counts[counts > 0]
    between = float((counts[counts > 0] * (means - ranks.mean()) ** 2).sum())
    statistic = (n - 1) * between / variance
    unbiased = 1 - (1 - between / variance) * (n - 1) / (n - k)
    return max(0.0, float(unbiased)), float((statistic - (k - 1)) / np.sqrt(2 * (k - 1)))
