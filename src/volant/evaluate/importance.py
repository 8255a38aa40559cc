"""Permutation importance: how much worse the metric gets when one column's values are shuffled among rows.

Source: Fisher, Rudin and Dominici, All Models are Wrong, but Many are Useful, 2019.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from volant.core.protocols import Task
from volant.core.records import Batch, Problem
from volant.evaluate.intervals import weigh
from volant.evaluate.sampling import seed_of, units_by
from volant.tasks.metrics import Measure, known, measure_of, ready, take

MOST_ROWS = 2_000
REPEATS = 5

_COST = 30
"""How much dearer a resample is here, where every column is weighed under it."""


@dataclass(frozen=True)
class Importance:
    """By how much the metric gets worse without a column, in the metric's own unit, with a 95 % interval."""

    column: str
    loss: float
    low: float
    high: float
    repeats: int


def importance(
    predict: Callable[[Batch], Batch],
    batch: Batch,
    truth: np.ndarray,
    *,
    task: Task,
    problem: Problem,
    seconds: float = 5.0,
    seed: int = 0,
) -> tuple[Importance, ...]:
    """The columns of `batch` by what they are worth, most first.

    Every column is shuffled once before any is shuffled twice; when `seconds` are over, what is known is
    returned, and columns that were never shuffled are left out. At most 2,000 rows are used.
    """
    rows = _some(len(truth), seed)
    batch, truth = take(batch, rows), truth[rows]
    measure = measure_of(task.metrics[problem.metric or task.default_metric])
    units = _units(predict, batch, truth, task, problem)
    deadline = time.monotonic() + seconds
    shuffled: dict[str, list[Batch]] = {}
    for repeat in range(REPEATS):
        for column in batch:
            if time.monotonic() > deadline:
                break
            order = np.random.default_rng(seed_of(seed + repeat, column)).permutation(len(truth))
            other = {**batch, column: batch[column][order]}
            shuffled.setdefault(column, []).append(_units(predict, other, truth, task, problem))
    found = _weighed(measure, units, shuffled, seed)
    return tuple(sorted(found, key=lambda one: (-one.loss, one.column)))


def _some(n: int, seed: int) -> np.ndarray:
    if n <= MOST_ROWS:
        return np.arange(n)
    rng = np.random.default_rng(seed_of(seed, "importance"))
    return np.sort(rng.choice(n, MOST_ROWS, replace=False))


def _units(predict: Callable[[Batch], Batch], batch: Batch, truth: np.ndarray, task: Task, problem: Problem) -> Batch:
    units = task.units(truth, predict(batch), problem)
    return take(units, known(units))


def _weighed(measure: Measure, units: Batch, shuffled: Mapping[str, Sequence[Batch]], seed: int) -> list[Importance]:
    """Every column under the same resamples of the rows, so that their intervals can be compared."""
    n = len(units["y"])
    if n < 2:
        return []
    group = units_by(None, None, n)
    drawn, bounds = weigh(group, n * _COST, seed)
    weights = np.concatenate([np.ones((1, n)), *drawn])
    usual = ready(measure, units)(weights)
    sign = -1.0 if measure.greater_is_better else 1.0
    found = []
    for column, repeats in shuffled.items():
        without = np.mean([ready(measure, one)(weights) for one in repeats], axis=0)
        loss = sign * (without - usual)
        interval = bounds(float(loss[0]), loss[1:], float(n), 0.025)
        found.append(Importance(column, interval.value, interval.low, interval.high, len(repeats)))
    return found
