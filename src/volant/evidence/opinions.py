"""From what actors said to labels: at most one opinion per actor and prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.expression import Expression
from volant.core.protocols import Task
from volant.data.plain import json_columns
from volant.evidence.evidence import ANONYMOUS, PROGRAMS, SIGNAL, Evidence

_NONE = -1


@dataclass(frozen=True)
class SignalRule:
    """What a bundle of events means: a piece of feedback of `kind` with `value` where the condition holds.

    Where it does not hold it means `otherwise`, if anything. A label that follows counts `weight` of one that was
    stated. `position` names the field that tells where in a list the prediction stood, counted from 1.
    """

    name: str
    when: Expression
    kind: str
    value: Any
    otherwise: Any = None
    weight: float = 0.5
    position: str | None = None


@dataclass(frozen=True)
class Opinions:
    """Opinions as columns (k,), by item, then by actor.

    `label` are codes into `labels`, which are in order. `actor` are codes as in the evidence, `witness` codes into
    `witnesses`: who earns trust by it, all the nameless together (code 0, the empty name), since a new name costs them
    nothing, and each program. `weight` is what a label counts by how it was given; `place` is where in a list the
    prediction stood, NaN where that was not told; `idle` tells that it is the label of not having done something,
    `event` that it follows from what somebody did or did not do.
    """

    item: np.ndarray
    seq: np.ndarray
    actor: np.ndarray
    witness: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    reviewer: np.ndarray
    happened: np.ndarray
    place: np.ndarray
    idle: np.ndarray
    event: np.ndarray
    labels: Sequence[Any]
    witnesses: Sequence[str]

    def __len__(self) -> int:
        return len(self.item)

    @property
    def nameless(self) -> np.ndarray:
        """Which opinions anybody could have given any number of times."""
        return np.asarray(self.witness == 0)

    def take(self, mask: np.ndarray) -> Opinions:
        """Some of the opinions."""
        columns = (field.name for field in fields(self) if field.name not in ("labels", "witnesses"))
        return replace(self, **{name: getattr(self, name)[mask] for name in columns})


def opinions(
    evidence: Evidence,
    task: Task,
    reviewers: Sequence[str],
    signals: Sequence[SignalRule] = (),
    more: Sequence[Any] = (),
) -> Opinions:
    """One opinion per prediction and actor: of an actor's several voices the latest that implies a label.

    A reviewer's voice is taken before those that the same actor gave as somebody else. `more` are labels that have a
    code even if nobody gives them.
    """
    stated = _stated(evidence, task)
    implied, weight, place, idle, meant = _signalled(evidence, task, signals)
    rows = np.concatenate([np.arange(len(evidence)), meant])
    found = np.concatenate([stated[0], implied.codes])
    labels, codes = _merged_labels(stated[1], [*implied.labels], found, len(evidence), more)
    weight = np.concatenate([np.ones(len(evidence)), weight])
    place = np.concatenate([np.full(len(evidence), np.nan), place])
    idle = np.concatenate([np.zeros(len(evidence), dtype=bool), idle])
    known = np.flatnonzero(codes >= 0)
    reviewer = _is_in(evidence.source, evidence.sources, reviewers)
    order = known
    if len(meant) or reviewer.any():  # else they are in order as they are
        at = rows[known]
        order = known[np.lexsort((evidence.seq[at], reviewer[at], evidence.actor[at], evidence.item[at]))]
    at = rows[order]
    last = _last_of_each(evidence.item[at], evidence.actor[at])
    order, at = order[last], at[last]
    witness, witnesses = _witnesses(evidence, at)
    return Opinions(
        evidence.item[at],
        evidence.seq[at],
        evidence.actor[at],
        witness,
        codes[order],
        weight[order],
        reviewer[at],
        evidence.happened[at],
        place[order],
        idle[order],
        order >= len(evidence),
        labels,
        witnesses,
    )


def _last_of_each(*columns: np.ndarray) -> np.ndarray:
    """Positions of the last row of each run of equal rows."""
    if not len(columns[0]):
        return np.empty(0, dtype=np.int64)
    changes = np.zeros(len(columns[0]), dtype=bool)
    changes[-1] = True
    for column in columns:
        changes[:-1] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)


def _is_in(codes: np.ndarray, names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    return np.array([name in wanted for name in names], dtype=bool)[codes] if len(codes) else np.zeros(0, dtype=bool)


def _witnesses(evidence: Evidence, at: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Who earns trust by each opinion: the actor; all the nameless together; programs by their source."""
    actor, source = evidence.actor[at], evidence.source[at]
    program = _is_in(source, evidence.sources, PROGRAMS)
    nameless = np.array([not name or name.startswith(ANONYMOUS) for name in evidence.actors], dtype=bool)
    code = np.where(nameless, 0, np.arange(len(evidence.actors)) + 1)[actor] if len(at) else actor
    beyond = len(evidence.actors) + 1
    code = np.where(program, beyond + source, code)
    names = ["", *evidence.actors, *(f"{name}:" for name in evidence.sources)]
    present, witness = np.unique(np.append(code, 0), return_inverse=True)
    return witness[:-1], [names[i] for i in present]


@dataclass(frozen=True)
class _Implied:
    codes: np.ndarray
    labels: list[Any]


def _stated(evidence: Evidence, task: Task) -> tuple[np.ndarray, list[Any]]:
    """The label that each voice implies by itself, as codes (-1: none), and the labels."""
    looks = {kind.name: kind.looks for kind in task.feedback}
    depends = np.array([looks.get(name, True) for name in evidence.kinds], dtype=bool)
    answer = np.where(depends[evidence.kind], _answer_codes(evidence) + 1, 0) if len(evidence) else evidence.kind
    kinds = evidence.kind
    bundle = evidence.kinds.index(SIGNAL) if SIGNAL in evidence.kinds else _NONE
    return _labels_of(evidence, task, np.stack([kinds, evidence.value, answer]), kinds != bundle)


def _answer_codes(evidence: Evidence) -> np.ndarray:
    """Codes of what was answered, per voice: equal codes get equal labels from equal feedback."""
    predictions = evidence.predictions
    if predictions.classes:
        pairs = [pc.fill_null(column, "").dictionary_encode() for column in (predictions.label, predictions.release)]
        label, release = (one.indices.to_numpy(zero_copy_only=False).astype(np.int64) for one in pairs)
        return np.asarray((label * len(pairs[1].dictionary) + release)[evidence.item])
    return evidence.item


def _labels_of(evidence: Evidence, task: Task, keys: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """What the task makes of each distinct (kind, value, answer), keys of shape (3, m)."""
    codes = np.full(keys.shape[1], _NONE, dtype=np.int64)
    rows = np.flatnonzero(mask)
    if not len(rows):
        return codes, []
    spans = keys[:, rows].max(axis=1).astype(np.int64) + 1
    flat = (keys[0, rows] * spans[1] + keys[1, rows]) * spans[2] + keys[2, rows]
    _, first, place = np.unique(flat, return_index=True, return_inverse=True)
    decode = msgspec.json.Decoder().decode
    outputs = evidence.predictions.outputs.take(pa.array(evidence.item[rows[first]])).to_pylist()
    values = [decode(evidence.values[keys[1, row]]) for row in rows[first]]
    kinds = [evidence.kinds[keys[0, row]] for row in rows[first]]
    found = [
        None if value is None else task.label(kind, value, decode(output))
        for kind, value, output in zip(kinds, values, outputs, strict=True)
    ]
    labels, of_each = _in_order(found)
    codes[rows] = of_each[place]
    return codes, labels


def _in_order(found: Sequence[Any]) -> tuple[list[Any], np.ndarray]:
    labels = sorted({label for label in found if label is not None})
    place = {label: i for i, label in enumerate(labels)}
    return labels, np.array([_NONE if label is None else place[label] for label in found], dtype=np.int64)


def _merged_labels(
    stated: list[Any], implied: list[Any], found: np.ndarray, n: int, more: Sequence[Any]
) -> tuple[list[Any], np.ndarray]:
    """Two lists of labels as one in order, and the codes in terms of it; the first `n` codes are of the first list."""
    labels = sorted({*stated, *implied, *more})
    place = {label: i for i, label in enumerate(labels)}
    tables = [np.array([place[label] for label in some] + [_NONE], dtype=np.int64) for some in (stated, implied)]
    return labels, np.concatenate([tables[0][found[:n]], tables[1][found[n:]]])


def _signalled(
    evidence: Evidence, task: Task, signals: Sequence[SignalRule]
) -> tuple[_Implied, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels that follow from bundles of events: codes, weights, places in a list, whether it was idleness, and the
    voice that each one ends with."""
    bundle = evidence.kinds.index(SIGNAL) if SIGNAL in evidence.kinds else _NONE
    rows = np.flatnonzero(evidence.kind == bundle) if signals else np.empty(0, dtype=np.int64)
    if not len(rows):
        return _Implied(rows, []), np.empty(0), np.empty(0), np.empty(0, dtype=bool), rows
    ends = rows[_last_of_each(evidence.item[rows], evidence.actor[rows])]
    fields = added_up(evidence, rows)
    decode, outputs = msgspec.json.Decoder().decode, evidence.predictions.outputs
    found: list[Any] = [None] * len(ends)
    weight, place = np.ones(len(ends)), np.full(len(ends), np.nan)
    idle = np.zeros(len(ends), dtype=bool)
    for rule in signals:
        holds, stood = rule.when.matches(fields, len(ends)), places(fields, rule, len(ends))
        for i in np.flatnonzero(holds | (rule.otherwise is not None)):
            if found[i] is not None:
                continue  # the rule that stands first in the file speaks
            answer = decode(outputs[int(evidence.item[ends[i]])].as_py())
            found[i] = task.label(rule.kind, rule.value if holds[i] else rule.otherwise, answer)
            weight[i], idle[i], place[i] = rule.weight, not holds[i], stood[i]
    labels, codes = _in_order(found)
    return _Implied(codes, labels), weight, place, idle, ends


def added_up(evidence: Evidence, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The fields of each bundle: of every field the latest value that was sent.

    A field of numbers is an array of them; one in which anybody sent a text holds everybody's values as they were sent.
    """
    codes = evidence.value[rows]
    parsed = json_columns(pa.chunked_array([pa.array(evidence.values).take(pa.array(codes))]))
    starts = np.append(0, _last_of_each(evidence.item[rows], evidence.actor[rows])[:-1] + 1)
    fields = {}
    for name in parsed.column_names:
        column = parsed.column(name).combine_chunks()
        if name:
            given = column.is_valid().to_numpy(zero_copy_only=False)
            latest = np.maximum.reduceat(np.where(given, np.arange(len(rows)), _NONE), starts)
            known = latest >= 0
            if pa.types.is_string(column.type) or pa.types.is_nested(column.type):
                fields[name] = np.full(len(starts), None, dtype=object)
                fields[name][known] = _as_sent(evidence, name, codes[latest[known]])
            else:
                fields[name] = _numbers(column.take(pa.array(latest, mask=~known)))
    return fields


def _as_sent(evidence: Evidence, name: str, codes: np.ndarray) -> np.ndarray:
    """The values of a field of several types, as objects, (k,): what one actor sends changes nobody else's."""
    distinct, place = np.unique(codes, return_inverse=True)
    decode = msgspec.json.Decoder().decode
    found = np.full(len(distinct), None, dtype=object)
    for i, code in enumerate(distinct.tolist()):
        found[i] = decode(evidence.values[code]).get(name)
    return found[place]


def _numbers(column: pa.Array) -> np.ndarray:
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def places(fields: Mapping[str, np.ndarray], rule: SignalRule, n: int) -> np.ndarray:
    """Where in a list each prediction stood, from 1, (n,); NaN where that was not told, or is no such number."""
    sent = fields.get(rule.position or "")
    if sent is None:
        return np.full(n, np.nan)
    if sent.dtype == object:
        sent = np.array([float(v) if isinstance(v, int | float) else np.nan for v in sent], dtype=np.float64)
    return np.where((sent >= 1) & (sent == np.floor(sent)), sent, np.nan)
