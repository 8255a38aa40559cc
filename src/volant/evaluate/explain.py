"""Explaining one prediction: what each column adds to it, compared with rows of a background.

Shapley values by sampled orders of columns, each order followed by its reverse.
Source: Strumbelj and Kononenko 2014; Mitchell et al., Sampling Permutations for Shapley Value Estimation, 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from volant.core.records import Batch

MOST_ROWS = 8_192


def explain(
    predict: Callable[[Batch], np.ndarray],
    row: Batch,
    background: Batch,
    *,
    columns: Sequence[str],
    samples: int = 64,
    seed: int = 0,
) -> tuple[float, np.ndarray, float]:
    """The mean output over background rows, what each column adds, (len(columns),), and the row's own output.

    Exactly: base + sum of contributions = output. `predict` gives one number per row; `row` has one row.
    `samples` is the number of orders tried, rounded up to an even one; background rows take turns.
    """
    output = float(np.asarray(predict(row), dtype=np.float64)[0])
    rng = np.random.default_rng(seed)
    size = len(next(iter(background.values())))
    half = max(1, (samples + 1) // 2)
    starts = np.resize(rng.permutation(size), half)
    orders = np.stack([rng.permutation(len(columns)) for _ in range(half)])  # (half, d)
    orders = np.concatenate([orders, orders[:, ::-1]])
    paths = _paths(predict, row, background, columns, orders, np.concatenate([starts, starts]))
    steps = np.diff(paths, axis=1)  # (samples, d), in the order of each path
    parts = np.zeros(len(columns))
    np.add.at(parts, orders, steps / len(orders))
    return output - float(parts.sum()), parts, output


def _paths(
    predict: Callable[[Batch], np.ndarray],
    row: Batch,
    background: Batch,
    columns: Sequence[str],
    orders: np.ndarray,
    starts: np.ndarray,
) -> np.ndarray:
    """Outputs (samples, d + 1) on the way from each background row to the row, one column turned at a time."""
    samples, d = orders.shape
    turned = np.argsort(orders, axis=1)[:, None, :] < np.arange(d + 1)[None, :, None]  # (samples, d + 1, d)
    turned = turned.reshape(-1, d)
    base = np.repeat(starts, d + 1)
    outputs = []
    for start in range(0, len(base), MOST_ROWS):
        part = slice(start, start + MOST_ROWS)
        mixed = {
            name: np.where(turned[part, i], row[name], background[name][base[part]]) for i, name in enumerate(columns)
        }
        outputs.append(np.asarray(predict(mixed), dtype=np.float64))
    return np.concatenate(outputs).reshape(samples, d + 1)
