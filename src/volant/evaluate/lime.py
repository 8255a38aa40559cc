"""A local surrogate: a small weighted ridge regression around one row.

Columns of the row are switched to those of a background row at random; rows that keep more count more. The
surrogate passes through the row itself, so its parts add up to the model's own answer.

Source: Ribeiro, Singh and Guestrin, "Why Should I Trust You?", 2016; kernel and penalty are those of its software.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from volant.core.records import Batch
from volant.evaluate.explain import Predict, Shares

SAMPLES = 2_048
KERNEL_WIDTH = 0.75
"""Times the root of the number of columns: at this distance a row's weight has fallen to 1/e."""

PENALTY = 1.0


@dataclass(frozen=True)
class Local(Shares):
    """`base` is what the surrogate answers where every column is the background's; `fit` its weighted R²."""

    fit: float


def local_surrogate(
    predict: Predict,
    row: Batch,
    background: Batch,
    *,
    columns: Sequence[str],
    samples: int = SAMPLES,
    seed: int = 0,
) -> Local:
    """The surrogate's coefficients for `row`, which has one row, with their standard errors."""
    rng = np.random.default_rng(seed)
    d, size = len(columns), len(next(iter(background.values())))
    away = rng.random((samples, d)) < 0.5
    away[0] = False
    base = np.resize(rng.permutation(size), samples)
    mixed = {name: np.where(away[:, i], background[name][base], row[name]) for i, name in enumerate(columns)}
    outputs = np.asarray(predict(mixed), dtype=np.float64)
    weights = np.exp(-away.sum(axis=1) / (KERNEL_WIDTH**2 * d))
    lost = outputs[0] - outputs
    parts, errors = _ridge(away.astype(np.float64), lost, weights)
    left = weights @ (lost - away @ parts) ** 2
    whole = weights @ (lost - np.average(lost, weights=weights)) ** 2
    fit = 1.0 - left / whole if whole > 0 else 1.0
    return Local(float(outputs[0] - parts.sum()), parts, errors, float(outputs[0]), float(fit))


def _ridge(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients without an intercept, and their standard errors, which hold however the errors spread.

    Source: White, A Heteroskedasticity-Consistent Covariance Matrix Estimator, 1980.
    """
    inverse = np.linalg.inv(x.T @ (x * weights[:, None]) + PENALTY * np.eye(x.shape[1]))
    parts = inverse @ (x.T @ (weights * y))
    pulled = x * (weights * (y - x @ parts))[:, None]
    return parts, np.sqrt(np.diag(inverse @ (pulled.T @ pulled) @ inverse))
