"""Linear models on a matrix: logistic regression for classes, ridge regression for numbers, with L1 where asked for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from volant.bind.boosting import Part
from volant.bind.threads import blas_threads
from volant.core.protocols import Rows
from volant.learners.proximal import Line, Penalty, descend

MOST_CELLS = 50_000_000
"""Cells of the matrix that is fitted at the most: 200 MB of float32."""
MANY_CELLS = 10_000_000
"""Cells from which on several threads are quicker than one, which need not wait for others."""
ABSENT = -30.0
"""Margin of a class that the training rows do not hold."""


@dataclass(frozen=True)
class Effort:
    """How long the descent may take, in iterations and in seconds, and by how many threads."""

    iterations: int
    seconds: float
    threads: int


@dataclass(frozen=True)
class Lines:
    """Margins of rows: weights (k, m) and bias (m,); `scale` and `shift` undo the scaling of a number.

    `numbers` tells that they answer with a number, and not with margins of classes.
    """

    weights: np.ndarray
    bias: np.ndarray
    scale: float = 1.0
    shift: float = 0.0
    iterations: int = 0
    numbers: bool = False


def enough(data: Rows, width: int, seed: int) -> Rows:
    """As many rows as fit into `MOST_CELLS`: a line through them hardly moves with more."""
    rows = max(MOST_CELLS // max(width, 1), 1_000)
    if len(data) <= rows:
        return data
    return data.take(np.sort(np.random.default_rng(seed).choice(len(data), rows, replace=False)))


def settle_classes(part: Part, penalty: Penalty, signs: Sequence[int], effort: Effort, lines: Lines) -> Lines:
    """Logistic regression that goes on from lines, which have a margin for each class or one for the second of two."""
    if lines.weights.shape[1] == 2:
        lines = Lines(lines.weights[:, 1:] - lines.weights[:, :1], lines.bias[1:] - lines.bias[:1])
    margins = lines.weights.shape[1]
    start = Line(lines.weights, lines.bias, 0)
    line = _descend(part, penalty, signs, 2 if margins == 1 else margins, effort, start)
    return Lines(line.coefficients, line.bias, iterations=line.iterations)


def fit_number(part: Part, penalty: Penalty, signs: Sequence[int], effort: Effort) -> Lines:
    """Ridge regression; by descent where coefficients are to be zero or of a given sign."""
    from sklearn.linear_model import Ridge

    y, weights = part.y, part.weights
    shift = float(np.average(y, weights=weights))
    scale = float(np.sqrt(np.average((y - shift) ** 2, weights=weights))) or 1.0
    if penalty.absolute or any(signs):
        line = _descend(Part(part.x, (y - shift) / scale, weights), penalty, signs, 0, effort)
        return Lines(line.coefficients, line.bias, scale, shift, line.iterations, True)
    ridge = Ridge(alpha=penalty.squares)
    ridge.fit(part.x.astype(np.float64), (y - shift) / scale, sample_weight=weights)
    return Lines(ridge.coef_[:, None], np.array([ridge.intercept_], dtype=np.float64), scale, shift, 1, True)


def fit_classes(part: Part, penalty: Penalty, signs: Sequence[int], effort: Effort, classes: int) -> Lines:
    """Logistic regression: one margin for the second of two classes, else one per class."""
    present, width = np.unique(part.y), part.x.shape[1]
    if len(present) == 1:
        bias = np.full(classes, ABSENT)
        bias[present[0]] = 0.0
        return Lines(np.zeros((width, classes)), bias)
    known = Part(part.x, np.searchsorted(present, part.y), part.weights)
    line = _descend(known, penalty, signs, len(present), effort)
    coefficients, intercepts = line.coefficients, line.bias
    if classes == 2:
        return Lines(coefficients, intercepts, iterations=line.iterations)
    if len(present) == 2:
        coefficients, intercepts = coefficients * [[-0.5, 0.5]], intercepts * [-0.5, 0.5]
    matrix, bias = np.zeros((width, classes)), np.full(classes, ABSENT)
    matrix[:, present], bias[present] = coefficients, intercepts
    return Lines(matrix, bias, iterations=line.iterations)


def fit_labels(part: Part, penalty: Penalty, signs: Sequence[int], effort: Effort) -> Lines:
    """A logistic regression per label on the rows that somebody has said it of; `part.y` is (n, L), -1 where nobody."""
    ends = time.monotonic() + effort.seconds
    weights, bias, iterations = np.zeros((part.x.shape[1], part.y.shape[1])), np.zeros(part.y.shape[1]), 0
    for place, y in enumerate(part.y.T):
        known = np.flatnonzero(y >= 0)
        one = Part(part.x[known], y[known].astype(np.int64), part.weights[known])
        if len(np.unique(one.y)) < 2:
            bias[place] = margin_of(one.y, one.weights)
            continue
        left = (ends - time.monotonic()) / (part.y.shape[1] - place) if effort.seconds != float("inf") else float("inf")
        line = _descend(one, penalty, signs, 2, replace(effort, seconds=max(left, 0.01)))
        weights[:, place], bias[place] = line.coefficients[:, 0], line.bias[0]
        iterations = max(iterations, line.iterations)
    return Lines(weights, bias, iterations=iterations)


def margin_of(y: np.ndarray, weights: np.ndarray) -> float:
    """The margin of a label of which nothing is known but how frequent it is."""
    return float(np.log((weights[y == 1].sum() + 0.5) / (weights[y == 0].sum() + 0.5)))


def _descend(
    part: Part, penalty: Penalty, signs: Sequence[int], classes: int, effort: Effort, start: Line | None = None
) -> Line:
    with blas_threads(1 if part.x.size < MANY_CELLS else effort.threads):
        return descend(
            part,
            penalty,
            np.array(signs),
            classes=classes,
            iterations=effort.iterations,
            seconds=effort.seconds,
            start=start,
        )
