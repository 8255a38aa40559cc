"""The problem as the product file poses it: what answers cost, and whether what it asks for can be had at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from volant.columns.pictures import size_of
from volant.core.product import DecideSection, FairnessSection
from volant.core.protocols import Rows
from volant.core.records import Problem, Schema
from volant.errors import BadInput, Trouble, nearest
from volant.evaluate.fairness import GAPS, positive_class
from volant.evaluate.mitigation import OBJECTIVES
from volant.wheel.context import Context
from volant.wheel.fairness import columns_of, metric_of
from volant.wheel.monotone import with_directions, wrong_directions

PLACE = "volant.toml"
LOOKED_AT = 20
"""Pictures whose size is looked at."""
NUMERIC = ("mean_error", "mae")
"""Rates of predicted numbers."""


def pictured(problem: Problem, rows: Rows) -> Problem:
    """The problem with the usual size of its pictures, as a few of them say: it tells what learning takes."""
    for column in problem.inputs:
        if column.type == "image" and len(rows):
            some = rows.take(np.unique(np.linspace(0, len(rows) - 1, min(LOOKED_AT, len(rows))).astype(np.int64)))
            sizes = [size_of(bytes(cell)) for cell in some.batch([column.name])[column.name] if cell is not None]
            if sizes:
                width, height = np.median(sizes, axis=0)
                return replace(problem, picture=(int(width), int(height)))
    return problem


def posed(context: Context, problem: Problem, schema: Schema) -> Problem:
    """The problem with its costs and directions, once it is certain that the product file fits it.

    Raises:
        BadInput: code `product-file-invalid`, with every trouble at once.
    """
    troubles = [*_misnamed(context, problem), *_undecidable(context, problem), *_unfair(context, problem, schema)]
    troubles += [*wrong_directions(context.product, problem), *_not_of_labels(context, problem, schema)]
    if troubles:
        number = "one problem" if len(troubles) == 1 else f"{len(troubles)} problems"
        raise BadInput(f"{PLACE} has {number}", code="product-file-invalid", troubles=troubles)
    problem = with_directions(context.product, problem)
    given = context.product.file.decide.costs
    return replace(problem, costs=_costs(given, problem.classes)) if given else problem


def _not_of_labels(context: Context, problem: Problem, schema: Schema) -> Iterator[Trouble]:
    """What the product file asks for and is not there where rows carry several labels."""
    file = context.product.file
    asked = {
        "fairness": file.fairness != FairnessSection() or bool(schema.of_role("sensitive")),
        "improve.learning": file.improve.learning != "scratch",
        "feedback.silence": file.feedback.silence is not None,
        "feedback.signals": bool(file.feedback.signals),
        "train.personal": file.train.personal is not None,
        "monotone columns": any(column.monotone for column in with_directions(context.product, problem).inputs),
    }
    for key, there in asked.items() if problem.labels else ():
        if there:
            what = f"the task {problem.task} knows no {key} yet"
            yield Trouble(what, f"{PLACE}, {key}", fix="take it out, or make each label a product of its own")


def _costs(given: Mapping[str, Mapping[str, float]], classes: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """What answers cost, (truth, answer): as given, else 0 for what is right and 1 for what is wrong."""
    return tuple(tuple(float(given.get(t, {}).get(a, float(t != a))) for a in classes) for t in classes)


def _misnamed(context: Context, problem: Problem) -> Iterator[Trouble]:
    """Classes that the data does not have."""
    file, classes = context.product.file, problem.classes
    named = [(f"decide.costs.{truth}", truth) for truth in file.decide.costs]
    named += [(f"decide.costs.{t}.{answer}", answer) for t, row in file.decide.costs.items() for answer in row]
    if isinstance(file.train.class_weight, Mapping):
        named += [(f"train.class_weight.{name}", name) for name in file.train.class_weight]
    if file.fairness.positive is not None:
        named.append(("fairness.positive", file.fairness.positive))
    for key, name in named if classes else ():
        if name not in classes:
            what = "the training rows have no such class"
            yield Trouble(what, f"{PLACE}, {key}", name, classes, None, nearest(name, classes))


def _undecidable(context: Context, problem: Problem) -> Iterator[Trouble]:
    """What goes with other numbers of classes than the data has."""
    file, count = context.product.file, len(problem.classes)
    if not count:
        keys = {"decide": file.decide != DecideSection(), "train.class_weight": file.train.class_weight is not None}
        for key, there in keys.items():
            if there:
                fix = f"take it out of {PLACE}"
                yield Trouble(f"the task {problem.task} has no classes to decide for", f"{PLACE}, {key}", fix=fix)
    elif count > 2:
        keys = {"threshold": file.decide.threshold is not None, "minimum": bool(file.decide.minimum)}
        for key, there in keys.items():
            if there:
                fix = "give decide.metric or decide.costs instead"
                yield Trouble("this is for two classes", f"{PLACE}, decide.{key}", f"{count} classes", (), fix)


def _unfair(context: Context, problem: Problem, schema: Schema) -> Iterator[Trouble]:
    """What [fairness] asks for and the columns or the classes do not give."""
    file = context.product.file
    fairness, columns = file.fairness, columns_of(context, schema)
    place = f"{PLACE}, fairness"
    if problem.labels:
        return
    if (fairness.limit is not None or fairness.mitigation) and not columns:
        fix = 'name columns in fairness.columns, or give one the role "sensitive"'
        yield Trouble("no column tells whose groups are compared", place, fix=fix)
    metric = metric_of(context)
    choices = tuple(name for name, rates in GAPS.items() if (rates[0] in NUMERIC) != bool(problem.classes))
    if metric not in choices:
        yield Trouble(f"this metric is not for the task {problem.task}", f"{place}.metric", metric, choices)
    elif not problem.classes and (fairness.mitigation or fairness.positive):
        yield Trouble(f"the task {problem.task} has no classes", f"{place}.mitigation or .positive")
    elif problem.classes:
        needed = metric != "accuracy_difference" and fairness.limit is not None
        known = fairness.positive in (None, *problem.classes)
        if needed and known and positive_class(problem.classes, fairness.positive) is None:
            fix = "name the class that counts as being selected"
            yield Trouble("which answer is the good one?", f"{place}.positive", None, problem.classes, fix)
        yield from _unmitigable(context, problem, schema)


def _unmitigable(context: Context, problem: Problem, schema: Schema) -> Iterator[Trouble]:
    """Thresholds that cannot be had."""
    file = context.product.file
    mitigation, columns = file.fairness.mitigation, columns_of(context, schema)
    place = f"{PLACE}, fairness.mitigation"
    if mitigation not in ("threshold", "group_threshold"):
        return
    if len(problem.classes) != 2:
        yield Trouble("thresholds are for two classes", place, f"{len(problem.classes)} classes")
    if file.decide.threshold is not None:
        yield Trouble("decide.threshold is fixed, so none can be chosen", place, str(mitigation))
    if (file.decide.metric or "accuracy") not in OBJECTIVES or file.decide.minimum:
        yield Trouble("decide asks for what cannot be kept as well", f"{PLACE}, decide.metric", None, OBJECTIVES)
    if mitigation == "group_threshold":
        yield from _unknown_at_serving(columns, schema, place)


def _unknown_at_serving(columns: Sequence[str], schema: Schema, place: str) -> Iterator[Trouble]:
    if len(columns) != 1:
        fix = "name one column in fairness.columns"
        yield Trouble("a threshold per group goes by one column", place, f"{len(columns)} columns", (), fix)
        return
    column = schema[columns[0]]
    if column.role != "input":
        what = f"callers do not tell a release {column.name!r}, so it cannot decide by it"
        fix = 'give the column the role "input" and name it in fairness.columns, or take mitigation = "threshold"'
        yield Trouble(what, place, f"role {column.role}", (), fix)
    elif column.type not in ("category", "boolean"):
        fix = f'make it a category: columns.{column.name}.type = "category"'
        yield Trouble("a threshold per group goes by a category", place, column.type, ("category", "boolean"), fix)
