"""From evidence to rows: the source, and the labels that users' feedback earned, as one dataset version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from volant.columns.missing import with_missing
from volant.core.plugins import column_type
from volant.core.product import parse_duration
from volant.core.records import Schema
from volant.data.dataset import Dataset, Extra, SplitRule, Writer
from volant.data.splits import assign, row_keys
from volant.evidence.label_view import (
    ACCEPTED,
    HELD,
    JUDGED,
    REJECTED,
    Decision,
    LabelRule,
    LabelView,
    build_label_view,
)
from volant.store.records import PredictionRecord, Voice
from volant.wheel.collect import collect, dataset_facts
from volant.wheel.context import Context
from volant.wheel.results import Labels
from volant.wheel.succession import refuse_another_problem

RULE = "trust, maturity, agreement"
NO_LABELS = Labels("", 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Assembled:
    """The source's dataset version, the one with feedback, and what the label view said."""

    source: Dataset
    dataset: Dataset
    labels: Labels
    view: LabelView | None


def assemble(context: Context) -> Assembled:
    """Harvest the evidence that there is, turn it into labels, and put them beside the source's rows.

    Raises:
        BadInput: whatever is wrong with the data, or keeps the champion from being compared on it.
    """
    source = collect(context)
    refuse_another_problem(context, source.schema)
    context.store.index_segments()
    voices = list(context.store.voices())
    if not voices:
        return Assembled(source, source, NO_LABELS, None)
    predictions = {v.prediction.id: v.prediction for v in voices}
    rows = _inputs(source.schema, list(predictions.values()), context.product.file.data.missing)
    sides = _sides(source, rows, list(predictions))
    view = _view(context, voices, source, sides)
    labels = _labels(view, len(voices))
    context.store.add_label_view(view.version, RULE, {"rule": view.rule.record(), **labels.record()})
    used = [d for d in view.decisions if d.status in (ACCEPTED, JUDGED)]
    if not used:
        return Assembled(source, source, labels, view)
    dataset = _write(context, source, rows, list(predictions), used)
    return Assembled(source, dataset, labels, view)


def _inputs(schema: Schema, predictions: list[PredictionRecord], missing: Sequence[str] | None) -> dict[str, pa.Array]:
    """The inputs of logged predictions, parsed by the rules of training, and whose rows they are."""
    owner = _owner(schema)
    rows = {}
    for column in schema.columns:
        if column.role not in ("target", "ignored"):
            kind = with_missing(column_type(column.type), missing)
            given = [p.subject if column.name == owner else p.input.get(column.name) for p in predictions]
            rows[column.name] = pa.array([_cell(kind, value) for value in given], type=kind.storage)
    return rows


def _cell(kind: Any, value: Any) -> Any:
    """A canonical cell; nothing where an earlier contract took what the column's type of today cannot read."""
    try:
        return kind.parse_cell(value)
    except (ValueError, TypeError, OverflowError):
        return None


def _owner(schema: Schema) -> str | None:
    """The column that says whose row it is; callers send it as the `subject` of a request."""
    found = schema.of_role("subject") or schema.of_role("group")
    return found[0].name if found else None


def _sides(source: Dataset, rows: Mapping[str, pa.Array], ids: list[str]) -> dict[str, str]:
    """The side of each prediction. Whatever shares its key with a test row stays out (`test`); the test set
    itself is frozen, so that other traffic whose hash points to it trains."""
    rule, owner = SplitRule(**source.facts["split"]), _owner(source.schema)
    columns = list(rule.columns) or [column.name for column in source.schema.inputs]
    shown = [name for name in columns if name in rows]  # callers do not send what no model looks at any more
    keys = row_keys(pa.table(dict(rows)), subject=owner, inputs=shown)
    stored = source.keys()
    if len(shown) < len(columns):
        stored = row_keys(source.table(), subject=owner, inputs=shown)
    known = dict(zip(stored, source.sides(), strict=True))
    drawn, _ = assign(keys, salt=rule.salt, judge=rule.judge, test=rule.test)
    fresh = {"test": "train"}
    return {
        i: str(known[key]) if known.get(key, "unlabelled") != "unlabelled" else fresh.get(side, side)
        for i, key, side in zip(ids, keys, drawn, strict=True)
    }


def _view(context: Context, voices: list[Voice], source: Dataset, sides: Mapping[str, str]) -> LabelView:
    file = context.product.file
    rule = LabelRule(
        maturity_seconds=parse_duration(file.feedback.maturity),
        min_trust=file.feedback.min_trust,
        new_class_rows=file.improve.new_class_rows,
        new_class_judges=file.quality.min_rows,
        now=context.clock.now(),
    )
    labelled = source.take(np.flatnonzero(source.sides() != "unlabelled"))
    classes = context.task.problem(labelled, file.task.target, context.metric).classes
    plausible = _plausible(labelled, file.task.target) if context.task.target_type == "number" else None
    return build_label_view(voices, task=context.task, classes=classes, rule=rule, sides=sides, plausible=plausible)


def _plausible(rows: Dataset, target: str) -> tuple[float, float]:
    """The range of the source's numbers, and as much again on either side."""
    values = rows.batch([target])[target].astype(np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low - (high - low), high + (high - low)


def _labels(view: LabelView, evidence: int) -> Labels:
    reasons: dict[str, int] = {}
    for decision in view.decisions:
        if decision.status not in (ACCEPTED, JUDGED):
            reasons[decision.reason] = reasons.get(decision.reason, 0) + 1
    return Labels(
        version=view.version,
        evidence=evidence,
        accepted=len(view.of_status(ACCEPTED)),
        rejected=len(view.of_status(REJECTED)),
        held=len(view.of_status(HELD)),
        judged=len(view.of_status(JUDGED)),
        reasons=reasons,
        new_classes=view.new_classes,
    )


def _write(
    context: Context, source: Dataset, rows: Mapping[str, pa.Array], ids: list[str], used: list[Decision]
) -> Dataset:
    """A dataset version of the source's rows, as they are, and one row per label."""
    schema = source.schema
    target = schema.of_role("target")[0]
    kind = column_type(target.type)
    place = {i: n for n, i in enumerate(ids)}
    picked = pa.array([place[d.prediction_id] for d in used])
    columns: dict[str, Any] = {name: values.take(picked) for name, values in rows.items()}
    columns[target.name] = pa.array([kind.parse_cell(d.label) for d in used], type=kind.storage)
    for column in schema.columns:
        columns.setdefault(column.name, pa.nulls(len(used), column_type(column.type).storage))
    rule = SplitRule(**source.facts["split"])
    writer = Writer(context.folder("datasets"), schema, rule, source.facts["cuts"])
    try:
        sides = source.sides()
        writer.add(
            source.table(), Extra(weights=source.weights(), sides=["" if s == "unlabelled" else s for s in sides])
        )
        writer.add(
            pa.table(columns),
            Extra(
                "feedback",
                references=[d.prediction_id for d in used],
                weights=np.array([d.weight for d in used]),
                sides=["judge" if d.status == JUDGED else "train" for d in used],
            ),
        )
    except BaseException:
        writer.abort()
        raise
    dataset = writer.finish(source.facts["notes"])
    context.store.add_dataset(dataset.digest, len(dataset), dataset_facts(dataset, "feedback"))
    return dataset
