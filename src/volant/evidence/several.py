"""Evidence about several labels per row: every label of a prediction is a question of its own, answered yes or no.

What actors say of labels is spread over (prediction, label), where trust, noise and disagreement are weighed as for two
classes; what is settled there becomes one cell per prediction. A label that nobody has settled stays open: the row
teaches the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns.labels import Labels, presences
from volant.core.ids import digest
from volant.core.plugins import load
from volant.core.protocols import Task
from volant.evidence.decisions import ACCEPTED, HELD, JUDGED, LEFT_OUT, REJECTED, STATUSES, LabelView, Verdicts
from volant.evidence.evidence import Evidence, Predicted
from volant.evidence.label_view import build_label_view
from volant.evidence.reference import Second
from volant.evidence.rule import LabelRule

NO, YES = "no", "yes"
CORRECTION, CONFIRMATION = "correction", "confirmation"
_KINDS, _VALUES = (CORRECTION, CONFIRMATION), ('"no"', '"yes"', "true")
_MOST_WORTH_TELLING = (HELD, REJECTED, LEFT_OUT)


def build_view_of_labels(
    evidence: Evidence,
    *,
    task: Task,
    labels: Sequence[str],
    rule: LabelRule,
    sides: np.ndarray,
    second: Second | None = None,
) -> LabelView:
    """The label view of predictions that carry several labels; see `build_label_view`.

    Args:
        evidence: what actors say.
        task: tells what a voice says of labels.
        labels: those that the data has.
        rule: how evidence becomes labels.
        sides: the side of each prediction's row, (n,).
        second: what models say that had not seen the labels, a probability of each of its `classes`, (n, L).
    """
    spread = _Spread.of(evidence, task, labels)
    view = build_label_view(
        spread.evidence,
        task=load("tasks", "classify"),
        classes=(NO, YES),
        rule=rule,
        sides=np.repeat(sides, len(spread.labels)),
        second=None if second is None else _second(second, spread.labels),
    )
    settled = _Settled.of(view, spread)
    new = settled.new(len(labels), rule)
    verdicts, cells = _one_per_row(settled, spread, [*labels, *new])
    version = digest({"of": view.version, "labels": list(spread.labels)})
    return replace(view, version=version, verdicts=verdicts, labels=cells, new_classes=new, evidence=len(evidence))


@dataclass(frozen=True)
class _Spread:
    """Evidence on each label of each prediction: row `item * L + place` of its predictions."""

    evidence: Evidence
    labels: tuple[str, ...]
    ids: pa.Array

    @staticmethod
    def of(evidence: Evidence, task: Task, labels: Sequence[str]) -> _Spread:
        """Spread the voices; labels that the data does not have come last, in their order."""
        decode = msgspec.json.Decoder().decode
        outputs = [decode(text) for text in evidence.predictions.outputs.to_pylist()]
        told = [_told(evidence, task, row, outputs) for row in range(len(evidence))]
        named = {name for one in told for name in one}
        every = (*labels, *sorted(named - set(labels)))
        place = {name: i for i, name in enumerate(every)}
        return _Spread(_voices(evidence, told, place, _each(evidence.predictions, outputs, every)), every,
                       evidence.predictions.ids)  # fmt: skip


def _told(evidence: Evidence, task: Task, row: int, outputs: Sequence[Any]) -> Mapping[str, int]:
    """What a voice says of which labels, as a place in `_VALUES`.

    A whole list denies what was shown and is not in it. A confirmation says of each label what was answered.
    """
    kind, answer = evidence.kinds[evidence.kind[row]], outputs[evidence.item[row]]
    cell = task.label(kind, msgspec.json.decode(evidence.values[evidence.value[row]]), answer)
    if cell is None:
        return {}
    said, whole = presences(cell)
    shown = answer.get("probabilities", {}) if whole else {}
    if kind == CONFIRMATION:
        return dict.fromkeys(shown, 2)
    return {**dict.fromkeys(shown, 0), **{name: int(there) for name, there in said.items()}}


def _each(predictions: Predicted, outputs: Sequence[Any], labels: Sequence[str]) -> Predicted:
    """The predictions, once for each label, as answers of two classes."""
    n, width = len(predictions), len(labels)
    rows = pa.array(np.repeat(np.arange(n), width))
    names = [f"{name}#{place:05d}" for name in predictions.ids.to_pylist() for place in range(width)]
    encode = msgspec.json.Encoder().encode
    answers = []
    for output in outputs:
        likely, marked = output.get("probabilities", {}), set(output.get("labels", ()))
        for name in labels:
            p = float(likely.get(name, 0.5))  # what a release does not know, it has not denied
            answer = {"label": YES if name in marked else NO, "probabilities": {NO: 1.0 - p, YES: p}}
            answers.append(encode(answer).decode())
    return Predicted(
        ids=pa.array(names, pa.string()),
        at=np.repeat(predictions.at, width),
        release=predictions.release.take(rows),
        policy=predictions.policy.take(rows),
        propensity=np.repeat(predictions.propensity, width),
        audit=np.repeat(predictions.audit, width),
        subject=predictions.subject.take(rows),
        inputs=predictions.inputs.take(rows),
        outputs=pa.chunked_array([pa.array(answers, pa.string())]),
    )


def _voices(
    evidence: Evidence, told: Sequence[Mapping[str, int]], place: Mapping[str, int], predictions: Predicted
) -> Evidence:
    """One voice for each label that a voice speaks of."""
    rows = np.repeat(np.arange(len(told)), [len(one) for one in told])
    at = np.array([place[name] for one in told for name in one], dtype=np.int64)
    value = np.array([said for one in told for said in one.values()], dtype=np.int64)
    item = evidence.item[rows] * len(place) + at
    order = np.lexsort((evidence.seq[rows], evidence.actor[rows], item))
    rows = rows[order]
    columns = {name: getattr(evidence, name)[rows] for name in ("seq", "actor", "source", "received", "happened")}
    kind = (value[order] == 2).astype(np.int64)
    own = {"item": item[order], "kind": kind, "value": value[order], "kinds": _KINDS, "values": _VALUES}
    return replace(evidence, predictions=predictions, **columns, **own)


def _second(second: Second, labels: Sequence[str]) -> Second:
    """What models say of each label, as probabilities of two classes; NaN of labels that they do not know."""
    assert second.probabilities is not None
    p = np.full((len(second.probabilities), len(labels)), np.nan)
    for column, name in enumerate(second.classes):
        if name in labels:
            p[:, list(labels).index(name)] = second.probabilities[:, column]
    return Second((NO, YES), probabilities=np.stack([1.0 - p.reshape(-1), p.reshape(-1)], axis=1))


@dataclass(frozen=True)
class _Settled:
    """What became of each label of each prediction, (n, L): a place in `STATUSES`, -1 where nobody spoke; the reason;
    whether it is there; and what it weighs."""

    status: np.ndarray
    reason: np.ndarray
    there: np.ndarray
    weight: np.ndarray
    reasons: tuple[str, ...]
    labels: tuple[str, ...]

    @staticmethod
    def of(view: LabelView, spread: _Spread) -> _Settled:
        found, shape = view.verdicts, (len(spread.ids), len(spread.labels))
        at = pc.index_in(found.ids, value_set=spread.evidence.predictions.ids).to_numpy(zero_copy_only=False)
        yes = view.labels.index(YES) if YES in view.labels else -2

        def grid(values: np.ndarray, none: float) -> np.ndarray:
            out = np.full(shape[0] * shape[1], none, dtype=values.dtype)
            out[at] = values
            return out.reshape(shape)

        weight = found.weight * (1.0 - found.shared)
        return _Settled(
            grid(found.status.astype(np.int64), -1),
            grid(found.reason.astype(np.int64), 0),
            grid(found.label == yes, False),
            grid(weight, 0.0),
            found.reasons,
            spread.labels,
        )

    @property
    def used(self) -> np.ndarray:
        """Which labels are settled, (n, L)."""
        return np.isin(self.status, [STATUSES.index(ACCEPTED), STATUSES.index(JUDGED)]) & (self.weight > 0)

    def new(self, known: int, rule: LabelRule) -> tuple[str, ...]:
        """The labels beyond those `known` that enough predictions carry."""
        carried = self.used & self.there
        judged = carried & (self.status == STATUSES.index(JUDGED))
        enough = (carried.sum(axis=0) >= max(rule.new_class_rows, 1)) & (judged.sum(axis=0) >= rule.new_class_judges)
        return tuple(name for name, there in zip(self.labels[known:], enough[known:], strict=True) if there)


def _one_per_row(settled: _Settled, spread: _Spread, labels: Sequence[str]) -> tuple[Verdicts, tuple[str, ...]]:
    """A verdict per prediction that anybody spoke about, and the cells that its labels are codes of."""
    kept = np.array([name in labels for name in spread.labels])
    used, wanted = settled.used & kept, "a new label needs more rows"
    heard = np.flatnonzero((settled.status >= 0).any(axis=1))
    found = Verdicts.empty(spread.ids)
    for status in reversed(_MOST_WORTH_TELLING):
        for code, reason in enumerate(settled.reasons):
            is_so = (settled.status == STATUSES.index(status)) & (settled.reason == code)
            found = found.say(np.flatnonzero(is_so.any(axis=1)), status, reason)
    found = found.say(np.flatnonzero((settled.used & ~kept).any(axis=1)), HELD, wanted)
    for status in (ACCEPTED, JUDGED):
        is_so = (used & (settled.status == STATUSES.index(status))).any(axis=1)
        found = found.say(np.flatnonzero(is_so), status, "agreed")
    rows = np.flatnonzero(used.any(axis=1))
    cells = [_cell(settled.there[row], used[row], kept, spread.labels) for row in rows.tolist()]
    names = tuple(sorted(set(cells)))
    codes = np.array([names.index(cell) for cell in cells], dtype=np.int64)
    weights = np.where(used, settled.weight, 0.0).sum(axis=1)[rows] / np.maximum(used.sum(axis=1)[rows], 1)
    return found.label_as(rows, codes, weights).only(heard), names


def _cell(there: np.ndarray, used: np.ndarray, kept: np.ndarray, labels: Sequence[str]) -> str:
    """The cell of a row: a list where all its labels are settled, else what is said of those that are."""
    if used[kept].all():
        told: Any = [name for name, carries, known in zip(labels, there, used, strict=True) if carries and known]
    else:
        told = {name: bool(carries) for name, carries, known in zip(labels, there, used, strict=True) if known}
    cell = Labels().parse_cell(told)
    assert cell is not None
    return cell
