"""Evaluation: everything that is known about how well a candidate does on some rows, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.protocols import Rows, Task
from volant.core.records import Batch, Problem, Score
from volant.evaluate.calibration import histogram, reliability
from volant.evaluate.confusion import confusion, hardest, per_class
from volant.evaluate.coverage import intervals_view
from volant.evaluate.curves import curves
from volant.evaluate.importance import Importance, importance
from volant.evaluate.intervals import score
from volant.evaluate.labels import per_label
from volant.evaluate.residuals import residuals
from volant.evaluate.sampling import MOST_DRAWS, seed_of
from volant.evaluate.slices import declared_slices
from volant.evaluate.speed import Loading, Speed, measure_speed
from volant.evaluate.weak import weak_slices
from volant.tasks.metrics import finite, known, measure_of, take

Predict = Callable[[Batch], Batch]
Look = Callable[[Batch, Rows], Mapping[str, Any]]
"""What takes units with a known truth, and their rows, to further views by name."""

CHUNK = 16_384
IMPORTANCE_SECONDS = 0.75
SLICE_DRAWS = 400
SLICE_ROWS = 5
"""Values of fewer rows are shown together: a rare value could tell who somebody is."""


@dataclass(frozen=True)
class SliceScores:
    """A group of rows by name, how many they are, and the leading metrics on them."""

    name: str
    n: int
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Evaluation:
    """What the report and the card tell.

    `unknown` counts rows that were left out as their truth is missing or a class that the candidate does not
    know. `views` holds plain data for plots, by name: `confusion`, `classes`, `calibration`, `histogram`,
    `curves`, `hardest` where classes are predicted, `labels` where labels are, `residuals` where numbers are,
    `intervals` where they come with some, and what `looks` add.
    """

    task: str
    metric: str
    rows: int
    unknown: int
    scores: tuple[Score, ...]
    greater_is_better: Mapping[str, bool]
    summaries: Mapping[str, str]
    slices: tuple[SliceScores, ...]
    weak: tuple[SliceScores, ...]
    views: Mapping[str, Any]
    importance: tuple[Importance, ...]
    speed: Speed

    def record(self) -> dict[str, Any]:
        """Plain JSON data; numbers that are not finite become null."""
        record: dict[str, Any] = plain(asdict(self))
        return record


def plain(value: Any) -> Any:
    """`value` as JSON data without NaN and infinities."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def evaluate(
    predict: Predict,
    rows: Rows,
    *,
    task: Task,
    problem: Problem,
    slice_columns: Sequence[str] = (),
    folder: Path | None = None,
    importance_seconds: float = IMPORTANCE_SECONDS,
    draws: int = MOST_DRAWS,
    seed: int = 0,
    looks: Sequence[Look] = (),
) -> Evaluation:
    """Evaluate what `predict` answers for `rows`, which must be at least one.

    `folder` is the candidate's, for its size and memory. With `importance_seconds` 0 no column is shuffled;
    `draws` bounds the resamples of an interval. `looks` add views of their own.
    """
    with Loading(folder) as loading:
        batch = rows.batch([column.name for column in problem.inputs])
        truth = task.encode(rows, problem)
        units = units_of(predict, batch, truth, rows.weights(), task, problem)
        judged = np.flatnonzero(known(units))
        metric = problem.metric or task.default_metric
        slices, weak = _slices(units, rows, judged, slice_columns, task, problem, seed)
        views = _views(take(units, judged), problem, rows.numbers()[judged], task, seed) if len(judged) else {}
        if "promised" in units and views:
            own = take(units, judged), rows.take(judged)
            views["intervals"] = intervals_view(*own, slice_columns, seed)
        for look in looks if len(judged) else ():
            views |= look(take(units, judged), rows.take(judged))
        return Evaluation(
            task=task.name,
            metric=metric,
            rows=len(rows),
            unknown=len(rows) - len(judged),
            scores=score(units, task, keys=rows.keys(), seed=seed, draws=draws),
            greater_is_better={name: m.greater_is_better for name, m in task.metrics.items()},
            summaries={name: m.summary for name, m in task.metrics.items()},
            slices=slices,
            weak=weak,
            views=views,
            speed=measure_speed(predict, batch, loading, folder=folder),
            importance=_importance(predict, batch, truth, task, problem, importance_seconds, seed),
        )


def units_of(
    predict: Predict, batch: Batch, truth: np.ndarray, weights: np.ndarray, task: Task, problem: Problem
) -> Batch:
    """The task's units for rows, predicted a few thousand at a time; with `weight` where weights differ from one."""
    parts = []
    for start in range(0, len(truth), CHUNK):
        part = {name: values[start : start + CHUNK] for name, values in batch.items()}
        parts.append(predict(part))
    predicted = {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
    units = dict(task.units(truth, predicted, problem))
    return units if bool((weights == 1).all()) else {**units, "weight": weights}


def _importance(
    predict: Predict, batch: Batch, truth: np.ndarray, task: Task, problem: Problem, seconds: float, seed: int
) -> tuple[Importance, ...]:
    if seconds <= 0:
        return ()
    return importance(predict, batch, truth, task=task, problem=problem, seconds=seconds, seed=seed)


def _slices(
    units: Batch,
    rows: Rows,
    judged: np.ndarray,
    columns: Sequence[str],
    task: Task,
    problem: Problem,
    seed: int,
) -> tuple[tuple[SliceScores, ...], tuple[SliceScores, ...]]:
    """Declared slices and weak ones, by the metric that decides and the task's first two."""
    metric = problem.metric or task.default_metric
    names = list(dict.fromkeys([metric, *list(task.metrics)[:2]]))
    units, keys, rows = take(units, judged), rows.keys()[judged], rows.take(judged)

    def scored(name: str, places: np.ndarray) -> SliceScores:
        some, own = take(units, places), seed_of(seed, name)
        scores = score(some, task, metrics=names, keys=keys[places], seed=own, draws=SLICE_DRAWS)
        return SliceScores(name, len(places), scores)

    declared = declared_slices(rows, columns, least=SLICE_ROWS)
    measure = next((m for m in map(measure_of, (task.metrics[n] for n in names)) if m.unit is not None), None)
    weak = []
    if measure is not None and measure.unit is not None and len(judged):
        losses = measure.unit(units) * (-1 if measure.greater_is_better else 1)
        weak = weak_slices(rows, losses, columns=[c.name for c in problem.inputs], seed=seed)
    found = tuple(scored(name, np.flatnonzero(mask)) for name, mask in declared.items())
    return found, tuple(scored(one.name, one.rows) for one in weak)


def _views(units: Batch, problem: Problem, numbers: np.ndarray, task: Task, seed: int) -> dict[str, Any]:
    """What is worth plotting, by what the task predicts. Predictions that are not finite have no views."""
    if not finite(units):
        return {}
    if problem.labels:
        return {"labels": per_label(units, problem.labels)}
    if task.output == "probability":
        return {
            "confusion": confusion(units, problem.classes),
            "classes": per_class(units, problem.classes),
            "calibration": reliability(units),
            "histogram": histogram(units),
            "curves": curves(units, problem.classes),
            "hardest": hardest(units, problem.classes, numbers),
        }
    return {"residuals": residuals(units, numbers, seed)} if task.output == "value" else {}
