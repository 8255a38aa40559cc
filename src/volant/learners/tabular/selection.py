"""Which n-grams of a text column tell something about the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from volant.core.plugins import load
from volant.core.protocols import Rows
from volant.core.records import Problem
from volant.runtime.grams import grams

SIZE, LOW, HIGH = 1 << 17, 2, 4
RARE = 5
"""Texts below which an n-gram is left out: it teaches little, and may name a person."""
MOST_TEXTS = 20_000
"""Texts that the choice is made on."""
MOST_CELLS = 1 << 20
"""Pairs of an n-gram and a class that are counted at once: 8 MB, where all of 1,000 classes could take a gigabyte."""


def chosen_grams(data: Rows, problem: Problem, name: str, most: int) -> dict[str, Any]:
    """Parameters of the step `grams` for a text column: at most `most` buckets, by chi-square or correlation."""
    if len(data) > MOST_TEXTS:
        data = data.take(np.linspace(0, len(data) - 1, MOST_TEXTS).astype(np.int64))
    texts = data.batch([name])[name]
    rows, buckets = grams(texts, SIZE, LOW, HIGH)
    pairs = np.unique(rows * SIZE + buckets)
    rows, buckets = pairs // SIZE, pairs % SIZE
    counts = np.bincount(buckets, minlength=SIZE)
    frequent = np.flatnonzero(counts >= min(RARE, max(2, len(data) // 20)))
    known = np.isin(buckets, frequent)
    scores = _scores(rows[known], np.searchsorted(frequent, buckets[known]), len(frequent), data, problem)
    best = np.sort(np.argsort(-scores, kind="stable")[:most])
    keep = frequent[best]
    weight = np.log((1 + len(data)) / (1 + counts[keep])) + 1
    return {"size": SIZE, "low": LOW, "high": HIGH, "keep": keep.tolist(), "weight": np.round(weight, 4).tolist()}


def _scores(rows: np.ndarray, columns: np.ndarray, width: int, data: Rows, problem: Problem) -> np.ndarray:
    """How strongly the presence of each n-gram goes with the target: chi-square, or squared correlation."""
    target = load("tasks", problem.task).encode(data, problem)
    if problem.labels:  # of the labels that an n-gram tells of, the one that it tells most of
        tasks = [np.where(one >= 0, one, 0).astype(np.float64) for one in target.T]
        return np.asarray(np.max([_correlated(rows, columns, width, one) for one in tasks], axis=0))
    if problem.classes:
        wanted = np.bincount(target, minlength=len(problem.classes)) / max(len(target), 1)
        return _chi_square(columns, target[rows], width, wanted)
    return _correlated(rows, columns, width, target)


def _chi_square(columns: np.ndarray, classes: np.ndarray, width: int, wanted: np.ndarray) -> np.ndarray:
    """Chi-square (width,) of how often each class goes with each n-gram, some n-grams at a time for memory's sake."""
    order = np.argsort(columns, kind="stable")
    columns, classes = columns[order], classes[order]
    scores, step = np.empty(width), max(1, MOST_CELLS // len(wanted))
    for start in range(0, width, step):
        size = min(step, width - start)
        here = slice(*np.searchsorted(columns, [start, start + size]))
        cells = (columns[here] - start) * len(wanted) + classes[here]
        seen = np.bincount(cells, minlength=size * len(wanted)).reshape(size, len(wanted)).astype(np.float64)
        expected = seen.sum(axis=1, keepdims=True) * wanted
        scores[start : start + size] = ((seen - expected) ** 2 / np.maximum(expected, 1e-9)).sum(axis=1)
    return scores


def _correlated(rows: np.ndarray, columns: np.ndarray, width: int, target: np.ndarray) -> np.ndarray:
    """Squared correlation of the presence of each n-gram with a number."""
    centred = target - target.mean()
    sums = np.bincount(columns, weights=centred[rows], minlength=width)
    counts = np.bincount(columns, minlength=width).astype(np.float64)
    spread = counts * (1 - counts / max(len(target), 1))
    return np.asarray(sums**2 / np.maximum(spread, 1e-9))
