"""`classify`: which of several classes a row belongs to, and how probable each is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.protocols import Metric, Rows
from volant.core.records import Batch, Decision, FeedbackKind, Pipeline, Problem
from volant.errors import BadInput, Failure
from volant.runtime.decisions import utilities
from volant.tasks.classify_metrics import LEAST, METRICS
from volant.tasks.decisions import costs_of, deciding_steps
from volant.tasks.kinds import AFTER, SHARED, parse_edit, parse_shared
from volant.tasks.target import feedback_choice, inputs_of, metric_of, refuse_kind, target_values, unfit

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_NEGATIVE = {"no", "n", "false", "f", "0", "-1", "off", "none", "never", "neg", "negative", "normal", "absent"}
_NEGATIVE |= {"否", "假", "无", "無", "没有", "正常", "阴性", "负", "負", "不是"}
"""Words that mean the negative of two classes, so that the other one is the positive one."""

LONGEST = 500
"""Characters that a label may have."""


class Classify:
    """Predicts one of two or more classes, with a probability for each."""

    name = "classify"
    version = 1
    summary = "which of two or more classes a row belongs to"
    target_type = "category"
    feedback = (
        FeedbackKind("correction", "the true class of the row; it may be a class that is new", looks=False),
        FeedbackKind("rating", '"up": the answer was right; "down": it was wrong'),
        FeedbackKind("choice", "the class that somebody took of those that were shown", looks=False),
        *SHARED,
    )
    metrics: Mapping[str, Metric] = METRICS
    default_metric = "log_loss"
    output = "probability"

    def problem(self, data: Rows, target: str, metric: str = "") -> Problem:
        """The classes that these rows have, in an order that depends on them alone.

        Raises:
            BadInput: codes `target-missing`, `target-unfit`.
        """
        metric = metric_of(metric, self.metrics, self.default_metric, self.name)
        inputs = inputs_of(data, target)
        counts = pc.value_counts(_labels(target_values(data, target)).drop_null())
        classes = class_order(counts.field("values").to_pylist())
        _check_classes(classes, int(pc.sum(counts.field("counts")).as_py() or 0), target)
        return Problem(self.name, target, inputs, len(data), classes, metric)

    def encode(self, data: Rows, problem: Problem) -> np.ndarray:
        """Class indices (n,) int64; -1 where the class is not among the problem's, or missing."""
        return _indices(target_values(data, problem.target), problem.classes)

    def units(self, truth: np.ndarray, predicted: Batch, problem: Problem) -> Batch:
        """`y` (n,), `p` (n, C), and what was answered; see `classify_metrics`.

        `truth` holds class indices or labels; unknown ones become -1. Predictions without a `label` are answered by
        the problem's costs, or by the likeliest class where it has none.
        """
        p = np.asarray(predicted[self.output], dtype=np.float64)
        y = np.asarray(truth)
        y = y.astype(np.int64) if y.dtype.kind in "iu" else _indices(pa.array(y, from_pandas=True), problem.classes)
        if p.shape != (len(y), len(problem.classes)):
            raise Failure(
                "predictions do not have the shape that the problem asks for",
                code="artifact-damaged",
                where=self.output,
                got=str(p.shape),
                fix=f"train again; expected {(len(y), len(problem.classes))}",
            )
        units = {"y": np.where(y < len(problem.classes), y, -1), "p": p}
        if "label" in predicted:
            units["a"] = _indices(pa.array(predicted["label"], pa.string()), problem.classes)
        elif problem.costs:
            units["a"] = utilities(p, np.asarray(problem.costs)).argmax(axis=1)
        return {**units, "c": costs_of(units["a"], problem.costs)} if problem.costs else units

    def finish(self, pipeline: Pipeline, problem: Problem, decision: Decision | None = None) -> Pipeline:
        """Add the steps that decide for a class."""
        given = pipeline.outputs[self.output]
        taken = {name for step in pipeline.steps for name in (*step.inputs, step.output)}
        taken |= {column.name for column in problem.inputs}
        steps = deciding_steps(given, decision or Decision(), problem.classes, _free(taken, "label"))
        outputs = {"label": steps[-1].output, self.output: given}
        return replace(pipeline, steps=(*pipeline.steps, *steps), outputs=outputs)

    def parse_feedback(self, kind: str, value: Any, problem_classes: Sequence[str]) -> Any:
        """A class label, `up` or `down`, or what any task takes. A label is the class it differs from by case at most.

        Raises:
            BadInput: code `feedback-invalid`.
        """
        if kind == "rating":
            return feedback_choice(value, ("up", "down"))
        shared = parse_shared(kind, value)
        if shared is not None:
            return shared
        if kind == "edit":
            return parse_edit(value, lambda side: _as_known(_label(side), problem_classes))
        if kind not in ("correction", "choice"):
            raise refuse_kind(kind, self.feedback)
        return _as_known(_label(value), problem_classes)

    def label(self, kind: str, value: Any, answer: Mapping[str, Any]) -> str | None:
        """The true class that feedback implies. A wrong answer implies one only where there are two classes."""
        if kind in ("correction", "choice"):
            return str(value)
        if kind == "edit":
            return str(value[AFTER])
        if kind not in ("rating", "confirmation") or "label" not in answer:
            return None
        if value == "up" or kind == "confirmation":
            return str(answer["label"])
        others = [c for c in answer.get("probabilities", {}) if c != answer["label"]]
        return others[0] if value == "down" and len(others) == 1 else None

    def imagine(self, champion: Batch, challenger: Batch) -> Iterator[tuple[np.ndarray, Batch, Batch]]:
        """For each possible class: how probable it is for each unit, (n,), and both models' units as if it were true.

        What is probable is a mixture of the two models, each counting as much as it explains the labels. A class
        that one of the models does not know is possible only if it was seen.
        """
        classes = champion["p"].shape[1]
        seen = np.bincount(champion["y"], minlength=classes) > 0
        possible = np.flatnonzero(seen | ((champion["p"].max(axis=0) > 0) & (challenger["p"].max(axis=0) > 0)))
        share = _credit(champion, challenger)
        mixed = share * challenger["p"][:, possible] + (1 - share) * champion["p"][:, possible]
        mixed = mixed / np.maximum(mixed.sum(axis=1, keepdims=True), LEAST)
        for c, probable in zip(possible, mixed.T, strict=True):
            y = np.full(len(champion["y"]), c, dtype=np.int64)
            yield probable, {**champion, "y": y}, {**challenger, "y": y}


def align(units: Batch, classes: Sequence[str], onto: Sequence[str]) -> Batch:
    """The units of a model with `classes`, as units over the classes `onto`.

    Classes that the model does not know have probability 0; a class it alone knows keeps no place, and
    units whose truth is such a class become unknown. Costs belong to classes that both know, and are left out.

    >>> units = {"y": np.array([0, 1]), "p": np.array([[0.9, 0.1], [0.3, 0.7]])}
    >>> align(units, ("a", "c"), ("a", "b", "c"))["y"].tolist()
    [0, 2]
    """
    place = {label: i for i, label in enumerate(onto)}
    moved = np.array([place.get(label, -1) for label in classes] + [-1], dtype=np.int64)
    p = np.zeros((len(units["y"]), len(onto)))
    kept = [i for i, label in enumerate(classes) if label in place]
    p[:, moved[kept]] = units["p"][:, kept]
    aligned = {**units, "y": moved[units["y"]], "p": p}
    if "a" in units:
        aligned["a"] = moved[units["a"]]
    return {name: values for name, values in aligned.items() if name != "c"}


def class_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels in their natural order: numbers by value, digits inside text by value, "no" before "yes".

    Of two classes the second is the positive one.

    >>> class_order(["10", "2"]), class_order(["class 10", "class 9"]), class_order(["yes", "no"])
    (('2', '10'), ('class 9', 'class 10'), ('no', 'yes'))
    """
    numeric = all(_NUMBER.fullmatch(label.strip()) for label in labels)
    ordered = sorted(labels, key=(lambda label: (float(label), label)) if numeric else _natural)
    if len(ordered) == 2 and ordered[1].strip().casefold() in _NEGATIVE and ordered[0].casefold() not in _NEGATIVE:
        ordered.reverse()
    return tuple(ordered)


def _free(taken: set[str], name: str) -> str:
    """`name`, or the first of its numbered forms that no value of a pipeline has."""
    return next(one for one in (name, *(f"{name}_{i}" for i in range(len(taken) + 1))) if one not in taken)


def _natural(label: str) -> tuple[Any, ...]:
    parts = re.split(r"([0-9]+)", label.casefold())
    return (*((len(p.lstrip("0")), p.lstrip("0")) if i % 2 else p for i, p in enumerate(parts)), label)


def _labels(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        whole = pc.all(pc.equal(values, pc.floor(values))).as_py()
        values = values.cast(pa.int64()) if whole else values
    return values.cast(pa.string())


def _indices(values: pa.Array, classes: Sequence[str]) -> np.ndarray:
    found = pc.index_in(_labels(values), value_set=pa.array(classes, pa.string()), skip_nulls=True)
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _check_classes(classes: Sequence[str], rows: int, target: str) -> None:
    if len(classes) < 2:
        fix = "add rows of another class, or choose another target; one class leaves nothing to learn"
        raise unfit(f"the target has only one class in {rows} rows", target, "1 class", fix)
    if len(classes) > max(2, rows // 2):
        fix = 'a class needs several rows; if the target is a number, use task type = "regress"'
        raise unfit("almost every row is a class of its own", target, f"{len(classes)} classes in {rows} rows", fix)


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    label = str(value).strip() if isinstance(value, str | int | float) else ""
    clean = all(unicodedata.category(c)[0] != "C" for c in label)
    if not label or len(label) > LONGEST or not clean or label == "nan":
        raise BadInput(
            "a correction is the label of a class",
            code="feedback-invalid",
            where="value",
            got=type(value).__name__,
            fix=f"send a text of 1 to {LONGEST} printable characters",
        )
    return label


def _as_known(label: str, classes: Sequence[str]) -> str:
    """The class that a label differs from by case at most, where there is one; else the label."""
    if label in classes:
        return label
    same = [c for c in classes if c.casefold() == label.casefold()]
    return same[0] if len(same) == 1 else label


def _credit(champion: Batch, challenger: Batch) -> float:
    """How much the challenger counts, in (0, 1): its mean share in a mixture of the two that explains the labels."""
    at = np.arange(len(champion["y"])), champion["y"]
    shares = (np.arange(32) + 0.5) / 32
    ours, theirs = (np.maximum(units["p"][at], 1e-12) for units in (challenger, champion))
    logs = np.array([np.log(s * ours + (1 - s) * theirs).sum() for s in shares])
    likely = np.exp(logs - logs.max())
    return float(likely @ shares / likely.sum())
