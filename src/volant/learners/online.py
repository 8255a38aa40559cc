"""Lines that learn from one row after the other: a filter that knows how sure it is of each coefficient.

A row moves a coefficient by how unsure it still is, so there is no rate to choose, and what many rows have taught is
not forgotten for a few new ones. Source: Ollivier, Online Natural Gradient as a Kalman Filter (Electronic Journal of
Statistics 2018), section 2, with a diagonal covariance, and with the bound of the curvature in the place of the
curvature itself (Böhning, 1992): where a line is wrongly sure, that is nearly zero, and steps would have no end.
"""

from __future__ import annotations

import numpy as np

from volant.bind.boosting import Part
from volant.learners.lines import Lines
from volant.learners.proximal import CURVATURE, Penalty

CHUNK = 8_192
"""Rows whose squares are held at the same time."""
UNSURE = 4.0
"""Variance of an intercept that no row has told anything of."""


def variances(part: Part, penalty: Penalty, lines: Lines) -> np.ndarray:
    """How unsure lines are of each coefficient, and of the bias in the last row, (k + 1, m).

    The inverse of a bound of the second derivative of the penalised loss in that coefficient alone.
    """
    width, margins = lines.weights.shape
    curve = np.zeros((width + 1, margins))
    for first in range(0, len(part.y), CHUNK):
        x, rows = part.x[first : first + CHUNK].astype(np.float64), part.weights[first : first + CHUNK]
        curve[:-1] += _bend(lines) * (x**2).T.dot(rows)[:, None]
        curve[-1] += _bend(lines) * rows.sum()
    squares = penalty.squares + penalty.absolute
    return np.asarray(1.0 / (curve + np.append(np.full(width, max(squares, 1e-6)), 1.0 / UNSURE)[:, None]))


def learn(part: Part, lines: Lines, unsure: np.ndarray, signs: np.ndarray) -> tuple[Lines, np.ndarray]:
    """Learn from rows, each once, in their order; the lines after that, and how unsure they are then.

    Args:
        part: rows (n, k) with numbers, less `shift` and over `scale`, or class indices, and weights.
        lines: what was learned before.
        unsure: see `variances`, (k + 1, m).
        signs: 1 or -1 where a coefficient may not have another sign, (k,).
    """
    w = np.vstack([lines.weights, lines.bias]).astype(np.float64)
    p, sign = unsure.astype(np.float64).copy(), np.append(signs, 0)[:, None]
    wanted = _wanted(part.y, lines)
    for row, aim, weight in zip(part.x, wanted, part.weights, strict=True):
        x = np.append(row.astype(np.float64), 1.0)
        margin = x @ w
        bend = weight * _bend(lines)
        px = p * x[:, None]
        surely = 1.0 + bend * (x @ px)
        w += px * (weight * (aim - _answer(margin[None, :], lines)[0]) / surely)
        p -= px**2 * (bend / surely)
        w = np.where(sign * w < 0, 0.0, w)
    return Lines(w[:-1], w[-1], lines.scale, lines.shift, lines.iterations, lines.numbers), p


def _wanted(y: np.ndarray, lines: Lines) -> np.ndarray:
    """What the answers aim at, (n, m)."""
    margins = lines.weights.shape[1]
    if margins > 1:
        return np.eye(margins)[y.astype(np.int64)]
    return y.astype(np.float64)[:, None]


def _answer(margins: np.ndarray, lines: Lines) -> np.ndarray:
    """Probabilities (n, m), or numbers as they are."""
    if lines.numbers:
        return margins
    if margins.shape[1] == 1:
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(margins, -30, 30))))
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _bend(lines: Lines) -> float:
    """The largest second derivative of the loss in a margin."""
    return CURVATURE.get(0 if lines.numbers else lines.weights.shape[1] + 1, 0.5)
