"""Target statistics: what is known of the targets of the rows that share a category.

The rows that the statistics were learned from get them from the other folds: a category of one row would
otherwise give its target away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volant.core.plugins import load
from volant.core.protocols import Rows
from volant.core.records import Problem

FOLDS = 5
SMOOTHING = 10.0
"""Rows that the overall mean counts for in a category's mean. Source: Micci-Barreca 2001, with a fixed weight."""
MOST_CLASSES = 10
"""Classes with statistics of their own, the most frequent ones."""


@dataclass(frozen=True)
class Statistics:
    """`table` (categories + 1, k) is what serving looks up, missing values last; `out_of_fold` (n, k) what trains.

    The columns are the smoothed mean target (one per class if there are more than two) and log(1 + rows).
    """

    table: np.ndarray
    out_of_fold: np.ndarray


def statistics(codes: np.ndarray, size: int, data: Rows, problem: Problem, seed: int) -> Statistics:
    """Statistics of the targets of `data` by category; `codes` (n,) lie in [0, size), or are NaN where missing."""
    places = np.where(np.isnan(codes), size, codes).astype(np.int64)
    targets, weights = targets_of(data, problem), data.weights()
    fold = folds_of(data.keys(), seed)
    table = _table(places, size + 1, targets, weights)
    apart = np.empty((len(codes), table.shape[1]))
    for number in range(FOLDS):
        out = fold == number
        apart[out] = _table(places[~out], size + 1, targets[~out], weights[~out])[places[out]]
    apart[:, -1] = table[places, -1]  # how many rows there are gives no target away
    return Statistics(table.astype(np.float32), apart.astype(np.float32))


def targets_of(data: Rows, problem: Problem) -> np.ndarray:
    """What statistics are of, (n, k): numbers, whether the second of two classes, or one column per frequent class."""
    target = load("tasks", problem.task).encode(data, problem)
    if problem.labels:
        counts = (target == 1).sum(axis=0)
        frequent = np.sort(np.argsort(-counts, kind="stable")[:MOST_CLASSES])
        return (target[:, frequent] == 1).astype(np.float64)
    if not problem.classes:
        return np.asarray(target, dtype=np.float64)[:, None]
    if len(problem.classes) == 2:
        return (target == 1).astype(np.float64)[:, None]
    counts = np.bincount(target, minlength=len(problem.classes))
    frequent = np.sort(np.argsort(-counts, kind="stable")[:MOST_CLASSES])
    return (target[:, None] == frequent[None, :]).astype(np.float64)


def folds_of(keys: np.ndarray, seed: int) -> np.ndarray:
    """The fold of each row: rows of one key share it."""
    unique, inverse = np.unique(keys.astype(str), return_inverse=True)
    drawn: np.ndarray = np.random.default_rng(seed).integers(0, FOLDS, len(unique))[inverse]
    return drawn


def _table(places: np.ndarray, size: int, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    counts = np.bincount(places, weights=weights, minlength=size)
    sums = np.stack([np.bincount(places, weights=weights * t, minlength=size) for t in targets.T], axis=1)
    total = counts.sum()
    mean = sums.sum(axis=0) / total if total > 0 else np.zeros(targets.shape[1])
    smooth = (sums + SMOOTHING * mean) / (counts + SMOOTHING)[:, None]
    return np.concatenate([smooth, np.log1p(counts)[:, None]], axis=1)
