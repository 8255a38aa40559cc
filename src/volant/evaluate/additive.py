"""Reading a pipeline backwards: which models add up to its answer, on which scale, and from which columns.

Where an answer is a weighted sum of models (a number, a log-odds), its Shapley values are the same sum of theirs.
A mixture of several models' probabilities is no such sum: then there is no `Additive`, and sampling must do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from volant.core.records import Batch, Pipeline, Step
from volant.runtime.load import Release, Runner

LOG_ODDS, LOG_RATIO, PROBABILITY, VALUE = "log-odds", "log-ratio", "probability", "value"
SCALES = {
    LOG_ODDS: "the logarithm of the probability over that of the other class",
    LOG_RATIO: "the logarithm of the probability over the geometric mean of all classes' probabilities",
    PROBABILITY: "the probability",
    VALUE: "the value",
}
MIXED = -1
_ELEMENTWISE = {"impute", "scale"}
"""Steps over a matrix of several columns that treat each of its features by itself."""


@dataclass(frozen=True)
class Term:
    """A model's step, and how much each of its outputs counts in the answer, (outputs,).

    Where the model only names the leaves of its trees, `table` is the file that tells what they say.
    """

    step: Step
    coefficients: np.ndarray
    table: str | None = None


@dataclass(frozen=True)
class Additive:
    """An answer as `shift` plus the sum of its terms, on `scale`."""

    scale: str
    shift: float
    terms: tuple[Term, ...]


def additive(pipeline: Pipeline, place: int | None, classes: int) -> Additive | None:
    """The answer as a sum of models: for the class at `place`, or for the number where it is None.

    None where it is no such sum on any scale.
    """
    steps = {step.output: step for step in pipeline.steps}
    if place is None:
        found = _plain(steps, pipeline.outputs["value"], np.ones(1))
        return None if found is None else Additive(VALUE, *found)
    source, own = pipeline.outputs["probability"], np.eye(classes)[place]
    against = (1.0 - own) / (classes - 1) if classes == 2 else np.full(classes, 1.0 / classes)
    found = _logarithm(steps, source, own - against)
    if found is not None:
        return Additive(LOG_ODDS if classes == 2 else LOG_RATIO, *found)
    found = _plain(steps, source, own)
    return None if found is None else Additive(PROBABILITY, *found)


_Found = tuple[float, tuple[Term, ...]]


def _logarithm(steps: Mapping[str, Step], name: str, wanted: np.ndarray) -> _Found | None:
    """The sum of the logarithms of probabilities, times `wanted`, which sums to zero."""
    step = steps.get(name)
    if step is None:
        return None
    if step.op == "temperature":
        return _logarithm(steps, step.inputs[0], wanted / float(step.params["value"]))
    if step.op == "average" and len(step.inputs) == 1:
        return _logarithm(steps, step.inputs[0], wanted)
    if step.op == "sigmoid_pair":
        return _plain(steps, step.inputs[0], wanted[1:])
    if step.op == "softmax":
        return _plain(steps, step.inputs[0], wanted)
    if step.op == "reweigh":
        found = _logarithm(steps, step.inputs[0], wanted)
        shift = float(np.log(np.asarray(step.params["factors"], dtype=np.float64)) @ wanted)
        return None if found is None else (found[0] + shift, found[1])
    if step.op == "constant":
        value = np.asarray(step.params["value"], dtype=np.float64)
        return (float(np.log(value) @ wanted), ()) if (value > 0).all() else None
    return None


def _plain(steps: Mapping[str, Step], name: str, wanted: np.ndarray) -> _Found | None:
    """The sum of a value's numbers times `wanted`."""
    step = steps.get(name)
    if step is None:
        return None
    if step.op == "onnx":
        return 0.0, (Term(step, wanted),)
    if step.op == "leaf_sums" and steps[step.inputs[0]].op == "onnx":
        return 0.0, (Term(steps[step.inputs[0]], wanted, step.file),)
    if step.op == "constant":
        return float(np.atleast_1d(np.asarray(step.params["value"], dtype=np.float64)) @ wanted), ()
    if step.op == "first":
        scale, shift = float(step.params.get("scale", 1.0)), float(step.params.get("shift", 0.0))
        found = _plain(steps, step.inputs[0], wanted * scale)
        return None if found is None else (found[0] + shift * float(wanted[0]), found[1])
    if step.op == "average":
        return _mean(steps, step, wanted)
    return None


def _mean(steps: Mapping[str, Step], step: Step, wanted: np.ndarray) -> _Found | None:
    weights = np.asarray(step.params["weights"], dtype=np.float64)
    shift, terms = 0.0, list[Term]()
    for name, weight in zip(step.inputs, weights / weights.sum(), strict=True):
        found = _plain(steps, name, wanted * weight)
        if found is None:
            return None
        shift += found[0]
        terms += found[1]
    return shift, tuple(terms)


@dataclass(frozen=True)
class Matrix:
    """The matrix that a model takes: how to make it, and the column that each of its features stems from.

    `owner` holds places among the columns, (width,), and `MIXED` for features of several columns.
    """

    runner: Runner
    owner: np.ndarray

    def of(self, batch: Batch) -> np.ndarray:
        """The matrix of canonical columns, float32 (n, width)."""
        return self.runner.predict(batch)["matrix"]


def matrix_of(release: Release, name: str, columns: Sequence[str], example: Batch) -> Matrix:
    """The matrix of that name. `example` is any batch of rows."""
    steps = needed(release.runner.pipeline, name)
    outputs = {step.output: step.output for step in steps}
    shapes = Runner(Pipeline(steps, outputs), release.folder).predict(example)
    owners = {column: np.array([i]) for i, column in enumerate(columns)}
    for step in steps:
        width = shapes[step.output].shape[1] if shapes[step.output].ndim == 2 else 1
        owners[step.output] = _owner(step, [owners[source] for source in step.inputs], width)
    return Matrix(Runner(Pipeline(steps, {"matrix": name}), release.folder), owners[name])


def needed(pipeline: Pipeline, name: str) -> tuple[Step, ...]:
    """The steps that make a value, in their order."""
    wanted, found = {name}, list[Step]()
    for step in reversed(pipeline.steps):
        if step.output in wanted:
            found.append(step)
            wanted |= set(step.inputs)
    return tuple(reversed(found))


def _owner(step: Step, sources: Sequence[np.ndarray], width: int) -> np.ndarray:
    """The column of each feature that a step gives, (width,)."""
    together = np.concatenate(sources)
    if (together == together[0]).all():
        return np.full(width, together[0])
    if step.op == "stack":
        return together
    if step.op in _ELEMENTWISE:
        flags = np.asarray(step.params.get("flags", []), dtype=np.int64)
        return np.concatenate([together, together[flags]])
    return np.full(width, MIXED)
