"""`regress`: how much; a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from volant.core.protocols import Metric, Rows
from volant.core.records import Batch, Decision, FeedbackKind, Pipeline, Problem
from volant.errors import BadInput, Failure
from volant.tasks.kinds import AFTER, SHARED, parse_edit, parse_shared
from volant.tasks.regress_metrics import METRICS
from volant.tasks.target import feedback_choice, inputs_of, metric_of, refuse_kind, target_values, unfit

LARGEST, LEAST_SPAN = 1e50, 1e-50
"""Beyond these the squares of squared errors, which intervals are made of, overflow or vanish."""


class Regress:
    """Predicts a number."""

    name = "regress"
    version = 1
    summary = "how much: a number"
    target_type = "number"
    feedback = (
        FeedbackKind("correction", "the true value of the row, a number", looks=False),
        FeedbackKind("rating", '"up": the answer was good; "down": it was not', looks=False),
        *SHARED,
    )
    metrics: Mapping[str, Metric] = METRICS
    default_metric = "rmse"
    output = "value"
    bounds = ("low", "high")
    interval_metric = "interval_score"

    def problem(self, data: Rows, target: str, metric: str = "") -> Problem:
        """Check that the target is a number that varies.

        Raises:
            BadInput: codes `target-missing`, `target-unfit`.
        """
        metric = metric_of(metric, self.metrics, self.default_metric, self.name)
        inputs = inputs_of(data, target)
        values = _numbers(target_values(data, target), target)
        _check_numbers(values, data, target)
        return Problem(self.name, target, inputs, len(data), (), metric)

    def encode(self, data: Rows, problem: Problem) -> np.ndarray:
        """Values (n,) float64; NaN where missing."""
        return _numbers(target_values(data, problem.target), problem.target)

    def units(self, truth: np.ndarray, predicted: Batch, problem: Problem) -> Batch:
        """`y` (n,), the truth, and `f` (n,), the prediction.

        Where intervals are asked for also `low`, `high` and `promised`, the share of truths they are to hold, (n,)
        each; what predicts none is taken at its word: its interval is the prediction alone.
        """
        y = np.asarray(truth, dtype=np.float64)
        f = _numbers_of(predicted, self.output, y.shape)
        if not problem.interval:
            return {"y": y, "f": f}
        low, high = (_numbers_of(predicted, n if n in predicted else self.output, y.shape) for n in self.bounds)
        return {"y": y, "f": f, "low": low, "high": high, "promised": np.full(y.shape, problem.interval)}

    def finish(self, pipeline: Pipeline, problem: Problem, decision: Decision | None = None) -> Pipeline:
        """The value is the answer as it is, with its interval where it has one."""
        names = [self.output, *(name for name in self.bounds if name in pipeline.outputs)]
        return replace(pipeline, outputs={name: pipeline.outputs[name] for name in names})

    def parse_feedback(self, kind: str, value: Any, problem_classes: Sequence[str] = ()) -> Any:
        """A finite number, or `up` or `down`, or what any task takes.

        Raises:
            BadInput: code `feedback-invalid`.
        """
        if kind == "rating":
            return feedback_choice(value, ("up", "down"))
        shared = parse_shared(kind, value)
        if shared is not None:
            return shared
        if kind == "edit":
            return parse_edit(value, _number)
        if kind != "correction":
            raise refuse_kind(kind, self.feedback)
        return _number(value)

    def label(self, kind: str, value: Any, answer: Mapping[str, Any]) -> float | None:
        """The true value that feedback implies. A rating implies none: a good answer need not be exact."""
        if kind == "confirmation" and "value" in answer:
            return float(answer["value"])
        if kind == "edit":
            return float(value[AFTER])
        return float(value) if kind == "correction" else None


def _numbers_of(predicted: Batch, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One output (n,) as float64."""
    found = np.asarray(predicted[name], dtype=np.float64)
    if found.shape != shape:
        raise Failure(
            "predictions do not have the shape that the problem asks for",
            code="artifact-damaged",
            where=name,
            got=str(found.shape),
            fix=f"train again; expected {shape}",
        )
    return found


def _numbers(values: pa.Array, target: str) -> np.ndarray:
    kind = values.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        fix = f'set type = "number" for the column {target} in volant.toml, or use task type = "classify"'
        raise unfit("the target of regress is not a number", target, str(kind), fix)
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _check_numbers(values: np.ndarray, data: Rows, target: str) -> None:
    wild = np.flatnonzero(np.isinf(values) | (np.abs(values) > LARGEST))
    if len(wild):
        rows = ", ".join(str(n) for n in data.numbers()[wild[:5]])
        got = f"{len(wild)} such values, first in rows {rows}"
        raise unfit("the target has values that are infinite or absurdly large", target, got, "mend or remove them")
    given = values[~np.isnan(values)]
    if given.min() == given.max():
        fix = "choose a target that varies; a constant leaves nothing to learn"
        raise unfit(f"the target has the same value in all {len(given)} rows", target, "1 distinct value", fix)
    if given.max() - given.min() < LEAST_SPAN:
        got, fix = f"all within {given.max() - given.min():.3g} of each other", "give it in a smaller unit"
        raise unfit("the values of the target lie absurdly close together", target, got, fix)


def _number(value: Any) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or abs(number) > LARGEST:
        raise BadInput(
            "a correction is a finite number",
            code="feedback-invalid",
            where="value",
            got=type(value).__name__,
            fix="send the true value as a number",
        )
    return number
