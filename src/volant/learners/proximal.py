"""Linear models with penalties that make coefficients zero, and with coefficients of a given sign.

Source: Beck and Teboulle, A Fast Iterative Shrinkage-Thresholding Algorithm (SIAM J. Imaging Sciences 2009);
restarts by O'Donoghue and Candès, Adaptive Restart for Accelerated Gradient Schemes (2015), section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from volant.bind.boosting import Deadline, Part

CURVATURE = {0: 1.0, 2: 0.25}
"""The largest second derivative of the loss in a margin: of squares, of two classes; of more it is a half."""
NEAR = 1e-4
"""Change of the largest scaled coefficient, relative to the largest, at which the descent ends."""
POWERS = 12


@dataclass(frozen=True)
class Penalty:
    """Weights of the sum of absolute coefficients and of half their squares, for a loss summed over rows."""

    absolute: float
    squares: float


@dataclass(frozen=True)
class Line:
    """Coefficients (k, m) and bias (m,) of margins, and the iterations that found them."""

    coefficients: np.ndarray
    bias: np.ndarray
    iterations: int


def descend(
    part: Part,
    penalty: Penalty,
    signs: np.ndarray,
    *,
    classes: int,
    iterations: int,
    seconds: float,
    start: Line | None = None,
) -> Line:
    """Minimise the penalised loss: squares of a number (`classes` 0), or minus the log-likelihood of classes.

    `part.y` are numbers or class indices. `signs` (k,) are 1 or -1 where a coefficient may not have another sign.
    Columns are scaled to length one inside, so that rare ones are learned as quickly as frequent ones. Those that
    the penalty of squares holds back anyway are scaled less: else the steepest penalty would make all steps small.
    """
    total = float(part.weights.sum())
    shares = (part.weights / total).astype(np.float32)
    size = np.sqrt(np.einsum("i,ij,ij->j", shares, part.x, part.x, dtype=np.float64))
    size = np.maximum(size, np.sqrt(penalty.squares / total))
    scale = 1.0 / np.where(size > 1e-6, size, 1.0)
    x = np.hstack([part.x * scale.astype(np.float32), np.ones((len(part.x), 1), np.float32)])
    wanted = _wanted(part.y, classes)
    residual = _residual(wanted, classes)
    step = 1.0 / (CURVATURE.get(classes, 0.5) * _largest(x, shares) * 1.05 + penalty.squares / total * scale.max() ** 2)
    threshold = np.append(step * penalty.absolute / total * scale, 0.0)[:, None]
    ridge = np.append(penalty.squares / total * scale**2, 0.0)[:, None]
    sign = np.append(signs, 0)[:, None]

    def moved(u: np.ndarray) -> np.ndarray:
        gradient = x.T @ (shares[:, None] * residual(x @ u.astype(np.float32)))
        v = u - step * (gradient + ridge * u)
        v = np.sign(v) * np.maximum(np.abs(v) - threshold, 0.0)
        return np.where(sign * v < 0, 0.0, v)

    u = np.zeros((x.shape[1], wanted.shape[1]))
    if start is not None:
        u = np.vstack([start.coefficients / scale[:, None], start.bias])
    u, done = _accelerated(moved, u, iterations, Deadline(seconds))
    return Line(u[:-1] * scale[:, None], u[-1], done)


def _accelerated(
    moved: Callable[[np.ndarray], np.ndarray], u: np.ndarray, iterations: int, deadline: Deadline
) -> tuple[np.ndarray, int]:
    """Steps with momentum, which is dropped whenever it leads uphill."""
    ahead, speed, done = u, 1.0, 0
    while done < iterations:
        done += 1
        after = moved(ahead)
        change = after - u
        if np.vdot(ahead - after, change) > 0:
            speed = 1.0
        faster = (1.0 + np.sqrt(1.0 + 4.0 * speed**2)) / 2.0
        ahead, u, speed = after + (speed - 1.0) / faster * change, after, faster
        if np.abs(change).max() < NEAR * max(float(np.abs(u).max()), 1e-3) or deadline.over():
            break
    return u, done


def _wanted(y: np.ndarray, classes: int) -> np.ndarray:
    """What the margins aim at, (n, m)."""
    if classes > 2:
        return np.eye(classes, dtype=np.float32)[y.astype(np.int64)]
    return y.astype(np.float32)[:, None]


def _residual(wanted: np.ndarray, classes: int) -> Callable[[np.ndarray], np.ndarray]:
    """The derivative of the loss in the margins (n, m)."""

    def of(margins: np.ndarray) -> np.ndarray:
        if not classes:
            return margins - wanted
        if classes == 2:
            return 1.0 / (1.0 + np.exp(-np.clip(margins, -30, 30))) - wanted
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True) - wanted

    return of


def _largest(x: np.ndarray, shares: np.ndarray) -> float:
    """The largest eigenvalue of the weighted second moments of `x`, by powers from a fixed start."""
    v = np.random.default_rng(0).normal(size=x.shape[1]).astype(np.float32)
    value = 1.0
    for _ in range(POWERS):
        v = x.T @ (shares * (x @ v))
        value = float(np.linalg.norm(v)) or 1.0
        v = v / np.float32(value)
    return value
