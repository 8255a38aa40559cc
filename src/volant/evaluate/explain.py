"""Explaining one prediction of any model: what each column adds to it, compared with rows of a background.

Shapley values from all coalitions of columns where they are few enough, else by sampled orders of columns, each
order followed by its reverse.
Source: Strumbelj and Kononenko 2014; Mitchell et al., Sampling Permutations for Shapley Value Estimation, 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np

from volant.core.records import Batch

PREDICTIONS = 8_192
"""Rows that are predicted for one explanation at the most, as long as every column gets its least share."""

LEAST_PAIRS = 8

Predict = Callable[[Batch], np.ndarray]


@dataclass(frozen=True)
class Shares:
    """`base` + the sum of `parts` (columns,) = `output`; `errors` (columns,) are standard errors of the parts."""

    base: float
    parts: np.ndarray
    errors: np.ndarray
    output: float


def explain(
    predict: Predict,
    row: Batch,
    background: Batch,
    *,
    columns: Sequence[str],
    predictions: int = PREDICTIONS,
    seed: int = 0,
) -> Shares:
    """What each column adds to the output of `row`, which has one row, against the mean over background rows.

    `predict` gives one number per row and is asked for about `predictions` rows. Where these suffice for all
    coalitions, the values are exact. Otherwise every background row starts equally many orders. Where there are
    too many columns for that, some of them start one each: `base` is their mean, and the errors are bounds.
    """
    size = len(next(iter(background.values())))
    mix = _Mixer(predict, row, background, columns)
    if size << len(columns) <= predictions:
        return _enumerated(mix, size, len(columns))
    pairs = max(LEAST_PAIRS, predictions // (2 * (len(columns) + 1)))
    if pairs >= size:
        pairs = max(2, pairs // size) * size
    return _sampled(mix, size, len(columns), pairs, np.random.default_rng(seed))


@dataclass(frozen=True)
class _Mixer:
    """Outputs of rows that are partly the explained row and partly a row of the background."""

    predict: Predict
    row: Batch
    background: Batch
    columns: Sequence[str]

    def __call__(self, turned: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Outputs (m,) where `turned` (m, d) columns are the row's and the others those of background row `base`."""
        mixed = {
            name: np.where(turned[:, i], self.row[name], self.background[name][base])
            for i, name in enumerate(self.columns)
        }
        return np.asarray(self.predict(mixed), dtype=np.float64)


def _enumerated(mix: _Mixer, size: int, d: int) -> Shares:
    """Shapley values by their definition, over all coalitions."""
    coalitions = (np.arange(1 << d)[:, None] >> np.arange(d)) & 1 == 1  # (2^d, d)
    worth = mix(np.repeat(coalitions, size, axis=0), np.tile(np.arange(size), 1 << d))
    worth = worth.reshape(-1, size).mean(axis=1)
    sizes = coalitions.sum(axis=1)
    weight = np.array([factorial(k) * factorial(d - k - 1) / factorial(d) for k in range(d)])
    parts = np.zeros(d)
    for j in range(d):
        without = np.flatnonzero(~coalitions[:, j])
        parts[j] = weight[sizes[without]] @ (worth[without | (1 << j)] - worth[without])
    return Shares(float(worth[0]), parts, np.zeros(d), float(worth[-1]))


def _sampled(mix: _Mixer, size: int, d: int, pairs: int, rng: np.random.Generator) -> Shares:
    starts = np.resize(rng.permutation(size), pairs)
    orders = np.stack([rng.permutation(d) for _ in range(pairs)])  # (pairs, d)
    found = np.zeros((pairs, d))
    ends = np.zeros((pairs, 2))
    for order in (orders, orders[:, ::-1]):
        turned = np.argsort(order, axis=1)[:, None, :] < np.arange(d + 1)[None, :, None]  # (pairs, d + 1, d)
        path = mix(turned.reshape(-1, d), np.repeat(starts, d + 1)).reshape(pairs, d + 1)
        np.put_along_axis(found, order, np.take_along_axis(found, order, axis=1) + np.diff(path, axis=1) / 2, axis=1)
        ends = path[:, [0, -1]]
    return Shares(float(ends[:, 0].mean()), found.mean(axis=0), _errors(found, size), float(ends[:, 1].mean()))


def _errors(found: np.ndarray, size: int) -> np.ndarray:
    """Standard errors of means over pairs (pairs, d); background rows that all start equally often add none."""
    pairs, d = found.shape
    turns = pairs // size
    grouped = found.reshape(turns, size, d) if turns >= 2 else found[:, None]
    spread = grouped.var(axis=0, ddof=1).mean(axis=0)
    out: np.ndarray = np.sqrt(spread / pairs)
    return out
