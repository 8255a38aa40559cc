"""What every task promises."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from volant.core.protocols import Bounded, Metric, Task
from volant.core.records import Batch, Decision, Pipeline, Problem, Step
from volant.errors import BadInput
from volant.runtime.steps import STEPS
from volant.tasks.metrics import applicable, take
from volant.testing.contract.claims import claim, is_described, nothing_global_changes, run
from volant.testing.contract.tables import Case, cases
from volant.testing.rows import MemoryRows


def check_task(task: Task) -> None:
    """Try a task on small tables and report every promise that it breaks.

    Raises:
        AssertionError: naming the task and, per broken promise, what was expected.
    """
    run("task", task, TASK_CONTRACT)


def _posed(task: Task) -> Iterator[tuple[Case, Problem]]:
    """The suite's tables as this task poses them; those whose target it does not take are left out.

    Where the task can give intervals, they are asked for.
    """
    for case in cases():
        if case.train.schema["target"].type == task.target_type:
            problem = task.problem(case.train, "target", task.default_metric)
            yield case, replace(problem, interval=0.9) if isinstance(task, Bounded) else problem


def _perfect(truth: np.ndarray, problem: Problem, task: Task) -> Batch:
    """Predictions that are right, and sure of it."""
    if problem.labels:
        return {task.output: np.where(truth == 1, 0.98, 0.02)}
    if not problem.classes:
        around = zip(task.bounds, (-0.1, 0.1), strict=True) if isinstance(task, Bounded) else ()
        return {task.output: truth.astype(np.float64), **{name: truth + reach for name, reach in around}}
    sure = np.full((len(truth), len(problem.classes)), 0.02 / len(problem.classes))
    sure[np.arange(len(truth)), truth] += 0.98
    return {task.output: sure}


def _poor(truth: np.ndarray, problem: Problem, task: Task) -> Batch:
    """The predictions for other rows."""
    return _perfect(np.roll(truth, 7), problem, task)


def _value(metric: Metric, units: Batch) -> float:
    rows = len(next(iter(units.values())))
    return float(metric.of(units, np.ones((1, rows)))[0])


def describes_itself(task: Task) -> None:
    is_described(task)
    claim(isinstance(task.version, int) and task.version >= 1, "`version` is a whole number from 1")
    claim(task.target_type in ("category", "number", "labels"), "`target_type` is a column type that the suite knows")
    claim(len(list(_posed(task))) > 0, "it takes at least one of the suite's tables")


def has_metrics_with_names(task: Task) -> None:
    claim(task.default_metric in task.metrics, "`default_metric` is one of `metrics`")
    for name, metric in task.metrics.items():
        claim(metric.name == name, f"metric {name!r} knows its own name")
        claim(metric.scale in ("absolute", "relative"), f"the scale of {name!r} is absolute or relative")
        claim(bool(metric.summary), f"metric {name!r} says what it is")


def poses_a_problem(task: Task) -> None:
    for case, problem in _posed(task):
        claim(problem.task == task.name and problem.target == "target", "the problem names task and target")
        claim(problem.rows == len(case.train), "the problem counts the rows")
        for named in (problem.classes, problem.labels):
            claim(len(set(named)) == len(named), "classes and labels are distinct")
        claim({c.name for c in problem.inputs} == {c.name for c in case.problem.inputs}, "inputs are the input columns")
        order = np.random.default_rng(0).permutation(len(case.train))
        again = task.problem(case.train.take(order), "target", task.default_metric)
        same = again.classes == problem.classes and again.labels == problem.labels
        claim(same, "the order of the rows does not change the order of the classes or labels")


def refuses_an_unknown_metric(task: Task) -> None:
    case, _ = next(_posed(task))
    try:
        task.problem(case.train, "target", "no_such_metric")
    except BadInput:
        return
    claim(False, "a metric that the task does not have is BadInput")


def refuses_a_target_without_values(task: Task) -> None:
    case, _ = next(_posed(task))
    empty = pa.nulls(len(case.train.columns), case.train.columns.column("target").type)
    place = case.train.columns.schema.get_field_index("target")
    rows = MemoryRows.of(case.train.schema, case.train.columns.set_column(place, "target", empty))
    try:
        task.problem(rows, "target", task.default_metric)
    except BadInput:
        return
    claim(False, "a target without a single value is BadInput")


def encodes_the_target(task: Task) -> None:
    for case, problem in _posed(task):
        encoded = task.encode(case.train, problem)
        shape = (len(case.train), len(problem.labels)) if problem.labels else (len(case.train),)
        claim(encoded.shape == shape, "`encode` gives one value per row, or one per label")
        if problem.labels:
            claim(encoded.dtype == np.int64, "whether a label is there is int64")
            claim(set(np.unique(encoded)) == {-1, 0, 1}, "a label is there, is not, or nobody has said")
        elif problem.classes:
            claim(encoded.dtype == np.int64, "class indices are int64")
            names = [problem.classes[i] for i in encoded]
            claim(names == case.train.table(["target"]).column(0).to_pylist(), "an index stands for its class")
        else:
            claim(encoded.dtype == np.float64, "values are float64")


def units_are_one_record_per_row(task: Task) -> None:
    for case, problem in _posed(task):
        truth = task.encode(case.train, problem)
        predicted = _poor(truth, problem, task)
        units = task.units(truth, predicted, problem)
        claim(all(len(v) == len(truth) for v in units.values()), "units have one entry per row")
        half = len(truth) // 2
        parts = [task.units(truth[s], take(predicted, s), problem) for s in _halves(half)]
        joined = {name: np.concatenate([p[name] for p in parts]) for name in units}
        same = all(np.array_equal(joined[name], units[name]) for name in units)
        claim(same, "units are merged by putting them one after the other")


def _halves(half: int) -> tuple[slice, slice]:
    return slice(None, half), slice(half, None)


def metrics_are_vectorised(task: Task) -> None:
    for name, metric, units, rows in _judged(task):
        weights = np.random.default_rng(1).integers(0, 3, size=(5, rows)).astype(np.float64)
        many = metric.of(units, weights)
        claim(many.shape == (5,), f"{name}: weights of shape (B, n) give B values")
        one = np.concatenate([metric.of(units, weights[i : i + 1]) for i in range(5)])
        claim(np.allclose(many, one, equal_nan=True), f"{name}: resamples do not disturb each other")


def weights_count_like_repeated_rows(task: Task) -> None:
    for name, metric, units, rows in _judged(task):
        counts = np.random.default_rng(2).integers(0, 3, size=rows)
        repeated = {key: np.repeat(value, counts, axis=0) for key, value in units.items()}
        weighed = float(metric.of(units, counts[None, :].astype(np.float64))[0])
        claim(bool(np.isclose(weighed, _value(metric, repeated))), f"{name}: weight 2 counts like two equal rows")


def better_predictions_score_better(task: Task) -> None:
    for case, problem in _posed(task):
        truth = task.encode(case.train, problem)
        good, bad = (task.units(truth, p(truth, problem, task), problem) for p in (_perfect, _poor))
        for name, metric in task.metrics.items():
            sign = 1 if metric.greater_is_better else -1
            better = sign * (_value(metric, good) - _value(metric, bad))
            claim(better > 0, f"{name} ({case.name}): right predictions score better than those of other rows")


def a_prediction_that_is_no_number_never_looks_good(task: Task) -> None:
    for case, problem in _posed(task):
        truth = task.encode(case.train, problem)
        right = _perfect(truth, problem, task)
        for output in right:
            spoilt = {**right, output: right[output].copy()}
            spoilt[output][0] = np.nan
            units = task.units(truth, spoilt, problem)
            for name, metric in task.metrics.items():
                claim(np.isnan(_value(metric, units)), f"{name}: one {output} that is NaN makes the metric NaN")


def intervals_are_optional(task: Task) -> None:
    """Without an interval that was asked for, and without one in the prediction, nothing breaks."""
    for case, problem in _posed(task):
        if not isinstance(task, Bounded):
            return
        claim(bool(task.metrics[task.interval_metric].needs), "`interval_metric` is a metric of intervals")
        truth = task.encode(case.train, problem)
        alone = {task.output: _poor(truth, problem, task)[task.output]}
        plain = task.units(truth, alone, replace(problem, interval=0.0))
        left_out = {name for name, metric in task.metrics.items() if metric.needs}
        claim(set(applicable(task.metrics, plain)) == set(task.metrics) - left_out, "unasked intervals are not judged")
        units = task.units(truth, alone, problem)
        for name in left_out:
            claim(np.isfinite(_value(task.metrics[name], units)), f"{name}: a prediction alone is an interval too")


def the_deciding_metric_needs_nothing_optional(task: Task) -> None:
    claim(not task.metrics[task.default_metric].needs, "`default_metric` can judge every prediction")


def finishes_pipelines(task: Task) -> None:
    for _, problem in _posed(task):
        options = len(problem.classes or problem.labels)
        value: Any = [1 / options] * options if options else 1.0
        step = Step("constant", (problem.inputs[0].name,), "raw", {"value": value})
        finished = task.finish(Pipeline((step,), {task.output: "raw"}), problem)
        decided = task.finish(Pipeline((step,), {task.output: "raw"}), problem, Decision())
        claim(decided == finished, "a decision in which nothing is set changes nothing")
        claim(task.output in finished.outputs, f"the finished pipeline still gives {task.output!r}")
        claim({s.op for s in finished.steps} <= set(STEPS), "only steps of the closed vocabulary are added")
        claim(Pipeline.of(finished.record()) == finished, "the finished pipeline is plain data")


def understands_feedback(task: Task) -> None:
    claim(len(task.feedback) > 0, "it understands some kind of feedback")
    claim(all(kind.name and kind.says for kind in task.feedback), "each kind of feedback has a name and a meaning")
    for case, problem in _posed(task):
        said = case.train.table(["target"]).column(0)[0].as_py()
        options = problem.classes or problem.labels
        value = task.parse_feedback("correction", said, options)
        claim(bool(problem.labels) or value == said, "a correction that names a known value is taken as it is")
        claim(task.parse_feedback("correction", value, options) == value, "parsing twice changes nothing")
        answer = {"label": said, "probabilities": {}} if problem.classes else {"value": said}
        claim(task.label("correction", value, answer) == said, "a correction implies its value as the label")
        _understands_edits(task, said, value, options)


def _understands_edits(task: Task, said: Any, value: Any, options: Sequence[str]) -> None:
    if not any(kind.name == "edit" for kind in task.feedback):
        return
    edit = task.parse_feedback("edit", {"from": said, "to": said}, options)
    claim(edit == {"from": value, "to": value}, "both sides of an edit are read like corrections")
    claim(task.parse_feedback("edit", edit, options) == edit, "parsing an edit twice changes nothing")
    claim(
        task.parse_feedback("edit", json.dumps(edit), options) == edit, "an edit is read from the JSON that files hold"
    )
    implied, stated = task.label("edit", edit, {}), task.label("correction", value, {})
    claim(implied == stated, "an edit implies what somebody changed the answer to as the label")


def refuses_feedback_of_another_form(task: Task) -> None:
    _, problem = next(_posed(task))
    for kind, value in (
        ("no_such_kind", 1),
        ("correction", {"a": [1]}),
        ("correction", None),
        ("edit", {"to": 1}),
        ("edit", 1),
    ):
        try:
            task.parse_feedback(kind, value, problem.classes)
        except BadInput as bad:
            claim(bad.code == "feedback-invalid", "the error's code is feedback-invalid")
            continue
        claim(False, f"feedback of kind {kind!r} with a {type(value).__name__} is BadInput")


def keeps_no_state(task: Task) -> None:
    case, problem = next(_posed(task))
    with nothing_global_changes(task):
        truth = task.encode(case.train, problem)
        task.units(truth, _poor(truth, problem, task), replace(problem, rows=1))


def _judged(task: Task) -> Iterator[tuple[str, Metric, Batch, int]]:
    for case, problem in _posed(task):
        truth = task.encode(case.train, problem)
        units = task.units(truth, _poor(truth, problem, task), problem)
        for name, metric in task.metrics.items():
            yield f"{name} ({case.name})", metric, units, len(truth)


TASK_CONTRACT = (
    describes_itself,
    has_metrics_with_names,
    poses_a_problem,
    refuses_an_unknown_metric,
    refuses_a_target_without_values,
    encodes_the_target,
    units_are_one_record_per_row,
    metrics_are_vectorised,
    weights_count_like_repeated_rows,
    better_predictions_score_better,
    a_prediction_that_is_no_number_never_looks_good,
    intervals_are_optional,
    the_deciding_metric_needs_nothing_optional,
    finishes_pipelines,
    understands_feedback,
    refuses_feedback_of_another_form,
    keeps_no_state,
)
"""Every promise of a task, each a function that takes the task."""
