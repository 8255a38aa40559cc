"""How a model's answers move with one column: partial dependence and accumulated local effects.

Partial dependence gives all rows the same value, whatever their other columns say; accumulated local effects move
rows to the ends of the interval that they lie in, so that no row becomes one that could not be.

Sources: Friedman, Greedy Function Approximation, 2001, section 8.2; Apley and Zhu, Visualizing the Effects of
Predictor Variables in Black Box Supervised Learning Models, 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.evaluate.reasons import is_missing

Predict = Callable[[Batch], np.ndarray]
"""Canonical columns to numbers (n, outputs)."""

STEPS = 20
"""Values of a number or a time at the most."""

ENDS = (0.02, 0.98)
"""Quantiles between which a column is looked at: its ends would tell of single rows."""

MOST_CATEGORIES = 12
FEWEST = 5
"""Rows that a category needs to be shown."""

ORDERED = {"number", "timestamp"}


@dataclass(frozen=True)
class Dependence:
    """Answers along a column. `values` are numbers, times as ISO text, or categories, None for missing cells.

    `mean` (values, outputs) is the partial dependence; `error` the standard error of its way from its own average.
    `local`
    (values, outputs) are accumulated local effects with the same mean, empty for columns without an order.
    `share` tells how many of the rows lie nearest to each value.
    """

    column: str
    type: str
    values: tuple[Any, ...]
    mean: tuple[tuple[float, ...], ...]
    error: tuple[tuple[float, ...], ...]
    local: tuple[tuple[float, ...], ...]
    share: tuple[float, ...]


def dependence(predict: Predict, rows: Batch, column: str, kind: str) -> Dependence | None:
    """Dependence on one column, judged on `rows`; None where it has fewer than two values to compare."""
    grid, share = _grid(rows[column], kind)
    if len(grid) < 2:
        return None
    n = len(rows[column])
    mixed = {name: np.tile(values, len(grid)) for name, values in rows.items()}
    mixed[column] = np.repeat(grid, n)
    answers = np.asarray(predict(mixed), dtype=np.float64).reshape(len(grid), n, -1)
    mean = answers.mean(axis=1)
    apart = answers - np.average(answers, axis=0, weights=share)  # rows differ in level; what counts is how they move
    error = apart.std(axis=1) / np.sqrt(n)
    local = _local(predict, rows, column, grid) if kind in ORDERED else np.zeros((0, 1))
    if len(local):
        local = local + np.average(mean - local, axis=0, weights=share)
    values = tuple(_plain(value, kind) for value in grid)
    return Dependence(column, kind, values, _tuples(mean), _tuples(error), _tuples(local), tuple(share.tolist()))


def _grid(values: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The values to compare, and the share of rows near each."""
    missing = np.array([is_missing(value) for value in values])
    known = values[~missing]
    if kind in ORDERED:
        grid = _quantiles(known) if len(known) else known
        if len(grid) < 2:
            return grid, np.ones(len(grid))
        numbers, middles = _numbers(known), (_numbers(grid)[1:] + _numbers(grid)[:-1]) / 2
        counts = np.bincount(np.searchsorted(middles, numbers, side="right"), minlength=len(grid))
        return grid, counts / counts.sum()
    if kind not in ("category", "boolean"):
        return values[:0], np.zeros(0)
    names, counts = np.unique(known.astype(str) if kind == "category" else known, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    kept = order[counts[order] >= FEWEST]
    cells, sizes = list(names[kept]), list(counts[kept])
    if missing.sum() >= FEWEST:
        cells, sizes = [*cells, None if kind == "category" else np.nan], [*sizes, int(missing.sum())]
    grid = np.empty(len(cells), dtype=values.dtype)
    grid[:] = [str(cell) if isinstance(cell, str) else cell for cell in cells]
    return grid, np.array(sizes) / max(sum(sizes), 1)


def _quantiles(known: np.ndarray) -> np.ndarray:
    """Distinct quantiles, in the column's own type; all values where they are few."""
    numbers = _numbers(known)
    distinct, counts = np.unique(numbers, return_counts=True)
    if len(distinct) <= STEPS and counts.min() >= FEWEST:
        grid = distinct
    else:
        grid = np.quantile(numbers, np.linspace(*ENDS, STEPS))
        grid = np.unique(np.round(grid) if (distinct == np.round(distinct)).all() else grid)
    return grid.astype(np.int64).astype("datetime64[us]") if known.dtype.kind == "M" else grid


def _numbers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]").astype(np.int64).astype(np.float64)
    return values.astype(np.float64)


def _local(predict: Predict, rows: Batch, column: str, grid: np.ndarray) -> np.ndarray:
    """Accumulated local effects at each value of the grid, the first being zero: (values, outputs)."""
    numbers, ends = _numbers(rows[column]), _numbers(grid)
    known = np.array([not is_missing(value) for value in rows[column]])
    known &= (numbers >= ends[0]) & (numbers <= ends[-1])
    some = {name: values[known] for name, values in rows.items()}
    place = np.clip(np.searchsorted(_numbers(grid), _numbers(some[column]), side="left"), 1, len(grid) - 1)
    low, high = (np.asarray(predict({**some, column: grid[at]}), dtype=np.float64) for at in (place - 1, place))
    moved = (high - low).reshape(len(place), -1)
    sums = np.zeros((len(grid), moved.shape[1]))
    np.add.at(sums, place, moved)
    counts = np.maximum(np.bincount(place, minlength=len(grid)), 1)
    return np.cumsum(sums / counts[:, None], axis=0)


def _plain(value: Any, kind: str) -> Any:
    if is_missing(value):
        return None
    if kind == "timestamp":
        return str(value)
    return value if isinstance(value, str) else float(value)


def _tuples(table: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in table)
