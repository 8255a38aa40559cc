"""From evidence to rows: the source, and the labels that users' feedback earned, as one dataset version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns.media import is_media
from volant.core.budget import Spending
from volant.core.expression import parse
from volant.core.plugins import column_type
from volant.core.product import SignalSection, parse_duration
from volant.core.records import Schema
from volant.data.dataset import Dataset, Extra, SplitRule, Writer
from volant.errors import BadInput
from volant.evidence.evidence import Evidence, gather
from volant.evidence.label_view import ACCEPTED, HELD, JUDGED, REJECTED, LabelRule, LabelView, build_label_view
from volant.evidence.opinions import SignalRule
from volant.evidence.reference import Second
from volant.evidence.several import build_view_of_labels
from volant.wheel.collect import collect, dataset_facts
from volant.wheel.context import Context
from volant.wheel.results import Labels
from volant.wheel.second import second_look
from volant.wheel.succession import refuse_another_problem
from volant.wheel.traffic import canonical_rows, sides_of

RULE = "trust, maturity, agreement"
NO_LABELS = Labels("", 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Assembled:
    """The source's dataset version, the one with feedback, and what the label view said."""

    source: Dataset
    dataset: Dataset
    labels: Labels
    view: LabelView | None


@dataclass(frozen=True)
class Harvest:
    """The evidence that there is, beside the source: rows and sides are those of the predictions, in their order."""

    source: Dataset
    evidence: Evidence
    rows: pa.Table
    sides: np.ndarray


def assemble(context: Context, spending: Spending | None = None) -> Assembled:
    """Harvest the evidence that there is, turn it into labels, and put them beside the source's rows.

    Of what `spending` has left it takes a share at the most, besides reading what there is.

    Raises:
        BadInput: whatever is wrong with the data, or keeps the champion from being compared on it.
    """
    source = collect(context)
    refuse_another_problem(context, source.schema)
    found = harvest(context, source)
    if found is None:
        return Assembled(source, source, NO_LABELS, None)
    context.progress.stage("labels")
    view = labelled(context, found, spending)
    labels = _labels(view)
    context.store.add_label_view(view.version, RULE, {"rule": dict(view.rule), **labels.record()})
    context.store.set_trust(view.trust, view.groups)
    used = view.verdicts.of(ACCEPTED, JUDGED)
    if not len(used):
        return Assembled(source, source, labels, view)
    dataset = write_labels(context.folder("datasets"), found, view, used, context.product.file.task.target)
    context.store.add_dataset(dataset.digest, len(dataset), dataset_facts(dataset, "feedback"))
    return Assembled(source, dataset, labels, view)


def harvest(context: Context, source: Dataset) -> Harvest | None:
    """The evidence by now, or None where nobody has said anything."""
    context.store.index_segments()
    feedback, quiet = context.store.feedback_table(), context.product.file.feedback.silence is not None
    if not len(feedback) and not quiet:
        return None
    predictions = context.store.prediction_table() if quiet else context.store.answered_table()
    evidence = gather(feedback, without_erased(context, predictions), context.clock.now())
    if not len(evidence.predictions):
        return None
    missing, packs = context.product.file.data.missing, context.store.media
    rows = canonical_rows(source.schema, evidence.predictions, missing, packs)
    return Harvest(source, evidence, rows, sides_of(source, rows))


def without_erased(context: Context, predictions: pa.Table) -> pa.Table:
    """Predictions about anybody but those who were erased."""
    gone = context.store.tombstones()
    if not len(gone):
        return predictions
    return predictions.filter(pa.array([not gone.holds(one) for one in predictions.column("subject").to_pylist()]))


def labelled(context: Context, found: Harvest, spending: Spending | None = None) -> LabelView:
    """The label view; with labels and time enough, with a second look at those that other labels contradict."""
    first = view_of(context, found, None)
    second = second_look(context, found, first, spending)
    return first if second is None else view_of(context, found, second)


def view_of(context: Context, found: Harvest, second: Second | None) -> LabelView:
    file, source = context.product.file, found.source
    known = source.take(np.flatnonzero(source.sides() != "unlabelled"))
    problem = context.task.problem(known, file.task.target, context.metric)
    if problem.labels:
        return build_view_of_labels(
            found.evidence,
            task=context.task,
            labels=problem.labels,
            rule=rule_of(context, problem.labels),
            sides=found.sides,
            second=second,
        )
    plausible = _plausible(known, file.task.target) if context.task.target_type == "number" else None
    return build_label_view(
        found.evidence,
        task=context.task,
        classes=problem.classes,
        rule=rule_of(context, problem.classes),
        sides=found.sides,
        second=second,
        plausible=plausible,
    )


def rule_of(context: Context, classes: Sequence[str] = ()) -> LabelRule:
    """The rule that the product file asks for, as of now; `classes` are those of the data, where they are known.

    Raises:
        BadInput: code `product-file-invalid`: a signal or silence means what the task does not take.
    """
    file = context.product.file
    return LabelRule(
        maturity_seconds=parse_duration(file.feedback.maturity),
        min_trust=file.feedback.min_trust,
        new_class_rows=file.improve.new_class_rows,
        new_class_judges=file.quality.min_rows,
        now=context.clock.now(),
        silence=_silence(context, classes),
        early=file.feedback.early,
        robust=file.improve.robust,
        robust_by=file.improve.robust_by,
        signals=tuple(_signal(context, name, signal, classes) for name, signal in file.feedback.signals.items()),
    )


def _silence(context: Context, classes: Sequence[str]) -> Any:
    """What silence means, as the task has it: no class that nothing in the data has."""
    given = context.product.file.feedback.silence
    if given is None:
        return None
    label, where = context.task.parse_feedback("correction", given, classes), "volant.toml, feedback.silence"
    if classes and label not in classes:
        what = "no row of the data has that class"
        raise BadInput(what, code="product-file-invalid", where=where, got=str(given), choices=classes)
    return label


def _signal(context: Context, name: str, signal: SignalSection, classes: Sequence[str]) -> SignalRule:
    """A signal of the product file, its values as the task has them.

    Raises:
        BadInput: code `product-file-invalid`: the task takes no such kind or value.
    """

    def read(value: Any) -> Any:
        if value is None:
            return None
        try:
            return context.task.parse_feedback(signal.kind, value, classes)
        except BadInput as bad:
            where = f"volant.toml, feedback.signals.{name}"
            troubles = [replace(trouble, where=where) for trouble in bad.troubles]
            raise BadInput(
                f"a signal means nothing: {bad.what}", code="product-file-invalid", troubles=troubles
            ) from None

    values = read(signal.value), read(signal.otherwise)
    return SignalRule(name, parse(signal.when), signal.kind, *values, signal.weight, signal.position)


def _plausible(rows: Dataset, target: str) -> tuple[float, float]:
    """The range of the source's numbers, and as much again on either side."""
    values = rows.batch([target])[target].astype(np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return low - (high - low), high + (high - low)


def _labels(view: LabelView) -> Labels:
    return Labels(
        version=view.version,
        evidence=view.evidence,
        accepted=view.count(ACCEPTED),
        rejected=view.count(REJECTED),
        held=view.count(HELD),
        judged=view.count(JUDGED),
        reasons=view.reasons(),
        new_classes=view.new_classes,
        groups=tuple(len(group) for group in view.groups),
    )


def write_labels(
    root: Path, found: Harvest, view: LabelView, used: np.ndarray, target: str, *, spare: bool = False
) -> Dataset:
    """A dataset version of the source's rows, as they are, and one row per label.

    Args:
        root: the folder of dataset versions.
        found: the evidence that the view is made of.
        view: the labels.
        used: which rows of the view become rows of the dataset.
        target: the column that they go into.
        spare: whether the other rows of the view follow, without a label.
    """
    source, schema = found.source, found.source.schema
    writer = Writer(root, schema, SplitRule(**source.facts["split"]), source.facts["cuts"])
    sides = ["" if side == "unlabelled" else side for side in source.sides()]
    try:
        writer.add(source.stored(), Extra(weights=source.weights(), sides=sides))
        if len(used):
            _add(writer, found, view, used, (target, cells_of(schema, target, view, view.verdicts.label[used])))
            split = used[view.verdicts.shared[used] > 0]
            if len(split):
                hidden = cells_of(schema, target, view, view.verdicts.other[split])
                _add(writer, found, view, split, (target, hidden), hidden=True)
        others = np.setdiff1d(np.arange(len(view.verdicts)), used)
        if spare and len(others):
            _add(writer, found, view, others, (target, pa.nulls(len(others), column_type(schema[target].type).storage)))
    except BaseException:
        writer.abort()
        raise
    return writer.finish(source.facts["notes"])


def cells_of(schema: Schema, target: str, view: LabelView, codes: np.ndarray) -> pa.Array:
    """Labels of a view as canonical cells of the target."""
    kind = column_type(schema[target].type)
    cells = pa.array([kind.parse_cell(label) for label in view.labels], type=kind.storage)
    return cells.take(pa.array(codes))


def _add(
    writer: Writer,
    found: Harvest,
    view: LabelView,
    rows: np.ndarray,
    labels: tuple[str, pa.Array],
    *,
    hidden: bool = False,
) -> None:
    """Add some rows of a view, with their labels, or with those that may be hidden behind them."""
    ids = view.verdicts.ids.take(pa.array(rows))
    places = pc.index_in(ids, value_set=found.evidence.predictions.ids)
    columns: dict[str, Any] = {name: found.rows.column(name).take(places) for name in found.rows.column_names}
    columns[labels[0]] = labels[1]
    for column in found.source.schema.columns:
        storage = pa.string() if is_media(column.type) else column_type(column.type).storage
        columns.setdefault(column.name, pa.nulls(len(rows), storage))
    judging, share = view.verdicts.is_status(JUDGED)[rows], view.verdicts.shared[rows]
    extra = Extra(
        "feedback",
        references=ids.to_pylist(),
        weights=view.verdicts.weight[rows] * (share if hidden else 1 - share),
        sides=np.where(judging, "judge", "train").tolist(),
    )
    writer.add(pa.table(columns), extra)
