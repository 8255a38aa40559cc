"""`tag`: which of several labels a row carries, none, one or more, and how probable each is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from volant.columns.labels import Labels, presences
from volant.core.protocols import Metric, Rows
from volant.core.records import Batch, Decision, FeedbackKind, Pipeline, Problem, Step
from volant.errors import BadInput, Failure
from volant.tasks.classify import class_order
from volant.tasks.kinds import AFTER, SHARED, parse_edit, parse_shared
from volant.tasks.marks import USUAL
from volant.tasks.tag_metrics import METRICS, surprises
from volant.tasks.target import inputs_of, metric_of, refuse_kind, target_values, unfit

_OF_LABELS = ("correction", "edit", "presence", "confirmation")
IMAGINED = 32
"""Truths that are drawn from what two models say."""


class Tag:
    """Predicts which of several labels a row carries, with a probability for each."""

    name = "tag"
    version = 1
    summary = "which of several labels a row carries: none, one or more"
    target_type = "labels"
    feedback = (
        FeedbackKind("correction", "all labels of the row, as a list; an empty one where it carries none", looks=False),
        FeedbackKind(
            "presence", 'whether it carries a label: {"cat": true}; it says nothing of the others', looks=False
        ),
        *SHARED,
    )
    metrics: Mapping[str, Metric] = METRICS
    default_metric = "log_loss"
    output = "probability"

    def problem(self, data: Rows, target: str, metric: str = "") -> Problem:
        """The labels that these rows carry, in an order that depends on them alone.

        Raises:
            BadInput: codes `target-missing`, `target-unfit`.
        """
        metric = metric_of(metric, self.metrics, self.default_metric, self.name)
        inputs = inputs_of(data, target)
        cells = target_values(data, target).drop_null()
        carried = {name for cell in _texts(cells, target).unique().to_pylist() for name in _there(cell)}
        labels = class_order(sorted(carried))
        _check_labels(labels, cells, target)
        return Problem(self.name, target, inputs, len(data), metric=metric, labels=labels)

    def encode(self, data: Rows, problem: Problem) -> np.ndarray:
        """(n, L) int64: 1 where a row carries a label, 0 where it does not, -1 where nobody has said."""
        return _encoded(_texts(target_values(data, problem.target), problem.target), problem.labels)

    def units(self, truth: np.ndarray, predicted: Batch, problem: Problem) -> Batch:
        """`y`, `p` and `a`, (n, L) each; see `tag_metrics`. Without an answer, labels count from a half on."""
        y, p = np.asarray(truth), np.asarray(predicted[self.output], dtype=np.float64)
        if y.dtype.kind not in "iu":
            y = _encoded(pa.array(y, pa.string(), from_pandas=True), problem.labels)
        wanted = (len(y), len(problem.labels))
        if p.shape != wanted or y.shape != wanted:
            raise Failure(
                "predictions do not have the shape that the problem asks for",
                code="artifact-damaged",
                where=self.output,
                got=str(p.shape),
                fix=f"train again; expected {wanted}",
            )
        marked = predicted.get("labels", p >= USUAL)
        return {"y": y.astype(np.int64), "p": p, "a": np.asarray(marked, dtype=np.int64)}

    def finish(self, pipeline: Pipeline, problem: Problem, decision: Decision | None = None) -> Pipeline:
        """Add the step that marks labels, each from its threshold on."""
        given = pipeline.outputs[self.output]
        taken = {name for step in pipeline.steps for name in (*step.inputs, step.output)}
        taken |= {column.name for column in problem.inputs}
        name = next(one for one in ("labels", *(f"labels_{i}" for i in range(len(taken) + 1))) if one not in taken)
        marks = (decision or Decision()).marks or (USUAL,) * len(problem.labels)
        step = Step("mark", (given,), name, {"thresholds": list(marks)})
        return replace(pipeline, steps=(*pipeline.steps, step), outputs={"labels": name, self.output: given})

    def parse_feedback(self, kind: str, value: Any, problem_classes: Sequence[str]) -> Any:
        """A sorted list of labels, labels with true or false, or what any task takes.

        A label is the one among `problem_classes` that it differs from by case at most, where there is one.

        Raises:
            BadInput: code `feedback-invalid`.
        """
        shared = parse_shared(kind, value)
        if shared is not None:
            return shared
        if kind == "edit":
            return parse_edit(value, lambda side: self.parse_feedback("correction", side, problem_classes))
        if kind not in ("correction", "presence"):
            raise refuse_kind(kind, self.feedback)
        found = _read(kind, value)
        known = {name: name for name in problem_classes}
        folded: dict[str, str | None] = {}
        for name in problem_classes:
            folded[name.casefold()] = None if name.casefold() in folded else name
        named = {known.get(name) or folded.get(name.casefold()) or name: there for name, there in found.items()}
        return sorted(named) if kind == "correction" else dict(sorted(named.items()))

    def label(self, kind: str, value: Any, answer: Mapping[str, Any]) -> str | None:
        """What feedback says of a row's labels, as a cell of the target."""
        if kind == "confirmation":
            value = answer.get("labels")
        if kind == "edit":
            value = value[AFTER]
        return Labels().parse_cell(value) if kind in _OF_LABELS else None

    def imagine(self, champion: Batch, challenger: Batch) -> Iterator[tuple[np.ndarray, Batch, Batch]]:
        """Truths drawn from what both models say together, label by label, each as probable as the others.

        Each model counts as much as it explains the labels that are known; what is unknown stays so.
        """
        dice, known, share = np.random.default_rng(0), champion["y"] >= 0, _credit(champion, challenger)
        mixed = share * challenger["p"] + (1 - share) * champion["p"]
        probable = np.full(len(mixed), 1.0 / IMAGINED)
        for _ in range(IMAGINED):
            y = np.where(known, dice.random(mixed.shape) < mixed, -1).astype(np.int64)
            yield probable, {**champion, "y": y}, {**challenger, "y": y}


def _texts(values: pa.Array, target: str) -> pa.Array:
    """Cells of a column of labels.

    Raises:
        BadInput: code `target-unfit`: it is another column.
    """
    if not pa.types.is_string(values.type):
        fix = f'set type = "labels" for the column {target} in volant.toml'
        raise unfit("the target of tag is no column of labels", target, str(values.type), fix)
    return values


def _there(cell: str) -> list[str]:
    return [name for name, there in presences(cell)[0].items() if there]


def _encoded(cells: pa.Array, labels: Sequence[str]) -> np.ndarray:
    """(n, L) int64; each distinct cell is read once."""
    encoded = cells.dictionary_encode()
    place = {name: i for i, name in enumerate(labels)}
    table = np.full((len(encoded.dictionary) + 1, len(labels)), -1, dtype=np.int64)  # the last row: missing
    for row, cell in enumerate(encoded.dictionary.to_pylist()):
        told, whole = presences(cell)
        if whole:
            table[row] = 0
        for name, there in told.items():
            if name in place:
                table[row, place[name]] = there
    return np.asarray(table[encoded.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)])


def _check_labels(labels: Sequence[str], cells: pa.Array, target: str) -> None:
    if not labels:
        fix = "add rows that carry labels; an empty list says that a row carries none"
        raise unfit(f"none of {len(cells)} rows carries a label", target, "no labels", fix)
    if len(labels) > max(2, len(cells) // 2):
        fix = 'a label needs several rows; names are separated by | ("a|b")'
        raise unfit("there are almost as many labels as rows", target, f"{len(labels)} in {len(cells)} rows", fix)
    y = _encoded(cells, labels)
    if not ((y == 1).any(axis=0) & (y == 0).any(axis=0)).any():
        fix = "add rows without some of the labels; an empty list says that a row carries none"
        raise unfit(
            "every row carries every label, which leaves nothing to learn", target, f"{len(labels)} labels", fix
        )


def _read(kind: str, value: Any) -> dict[str, bool]:
    """The labels that a piece of feedback names.

    Raises:
        BadInput: code `feedback-invalid`.
    """
    try:
        cell = Labels(frozenset()).parse_cell(value)
        told, whole = presences("[]" if cell is None and value == "" else cell or "")
    except ValueError as wrong:  # broken JSON is one, too
        raise _wrong(kind, value, str(wrong)) from None
    if whole != (kind == "correction"):
        raise _wrong(kind, value, "a list speaks of all labels, an object of those that it names")
    return told


def _wrong(kind: str, value: Any, why: str) -> BadInput:
    fixes = {"correction": 'send all labels of the row: ["cat", "dog"]', "presence": 'send {"cat": true}'}
    what = f"a {kind} names labels: {why}"
    return BadInput(what, code="feedback-invalid", where="value", got=type(value).__name__, fix=fixes[kind])


def _credit(champion: Batch, challenger: Batch) -> float:
    """How much the challenger counts, in (0, 1): its mean share in a mixture of the two that explains the labels."""
    known = champion["y"] >= 0
    ours, theirs = (np.exp(-surprises(units)[known]) for units in (challenger, champion))
    shares = (np.arange(32) + 0.5) / 32
    logs = np.array([np.log(share * ours + (1 - share) * theirs).sum() for share in shares])
    likely = np.exp(logs - logs.max())
    return float(likely @ shares / likely.sum())
