"""Fairness in the wheel: whose groups are looked at, what the gate is told of them, what the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from volant.core.protocols import Rows
from volant.core.records import Batch, Column, Gap, Problem, Schema
from volant.evaluate.fairness import DEFAULT, SUMMARIES, Judging, audits, gap, groups_of, positive_class, with_truth
from volant.release.fairness import FairnessRules
from volant.wheel.context import Context


def columns_of(context: Context, schema: Schema) -> tuple[str, ...]:
    """The columns whose groups are looked at: those that the product file names, or those of role `sensitive`."""
    named = context.product.file.fairness.columns
    return tuple(c.name for c in schema.of_role("sensitive")) if named is None else named


def metric_of(context: Context) -> str:
    """The metric of fairness that is limited."""
    return context.product.file.fairness.metric or DEFAULT[context.task.output]


def rules_of(context: Context, schema: Schema) -> FairnessRules | None:
    """What the gate is to hold, or None where nothing is limited."""
    fairness = context.product.file.fairness
    if fairness.limit is None:
        return None
    return FairnessRules(metric_of(context), fairness.limit, columns_of(context, schema), fairness.sure)


def gaps_of(
    context: Context, units: Batch, before: Batch | None, rows: Rows, problem: Problem, alpha: float
) -> tuple[Gap, ...]:
    """How far groups lie apart on these rows by the metric that is limited, and how far they did before."""
    rules = rules_of(context, rows.schema)
    if rules is None or not len(rows):
        return ()
    fairness = context.product.file.fairness
    positive = positive_class(problem.classes, fairness.positive)
    sides = [with_truth(one, rows) for one in (units, before) if one is not None]
    judged = [Judging.of(one, some.keys(), some.weights(), positive) for one, some in sides]
    found = []
    for column in rules.columns:
        masks = groups_of(sides[0][1], [column], fairness.min_rows)
        gaps = [gap(one.samples(masks), rules.metric, column, len(sides[0][1]), alpha) for one in judged]
        found.append(gaps[0] if before is None else replace(gaps[0], champion=gaps[1].value))
    return tuple(found)


def look(context: Context, problem: Problem, units: Batch, rows: Rows) -> Mapping[str, Any]:
    """The report's view of fairness: every group's rates and every metric, with 95 % intervals."""
    columns = columns_of(context, rows.schema)
    if not columns:
        return {}
    fairness = context.product.file.fairness
    positive = positive_class(problem.classes, fairness.positive)
    found = audits(units, rows, columns, positive, fairness.min_rows)
    return {
        "fairness": {
            "audits": [asdict(one) for one in found],
            "metric": metric_of(context),
            "limit": fairness.limit,
            "positive": None if positive is None else problem.classes[positive],
            "mitigation": fairness.mitigation,
            "summaries": SUMMARIES,
            "hidden": hidden(rows.schema, columns),
        }
    }


def hidden(schema: Schema, columns: Sequence[str]) -> list[str]:
    """Those of the columns that no model sees."""
    return [name for name in columns if schema[name].role != "input"]


def beside_of(context: Context, schema: Schema) -> list[Column]:
    """The columns that callers may send though no model sees them, so that fairness is judged on traffic too."""
    audited, sent = columns_of(context, schema), ("group", "time", "weight", "position", "propensity")
    return [c for c in schema.columns if c.role == "sensitive" or (c.name in audited and c.role in sent)]
