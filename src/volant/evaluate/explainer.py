"""Explaining a release's answers: exactly where its models allow it, by sampling otherwise, or by a surrogate."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from volant.bind.onnx_reader import Affine, read_model
from volant.core.records import Batch
from volant.errors import BadInput
from volant.evaluate.additive import (
    LOG_ODDS,
    MIXED,
    PROBABILITY,
    VALUE,
    Additive,
    Matrix,
    Term,
    additive,
    matrix_of,
)
from volant.evaluate.background import background_of
from volant.evaluate.explain import Shares, explain
from volant.evaluate.lime import Local, local_surrogate
from volant.evaluate.mixing import Mixing
from volant.evaluate.shap import LinearShares, TreeShares, used_features
from volant.runtime.arrays import load_arrays
from volant.runtime.load import Release, inside

METHODS = ("shap", "lime")
EXACT, SAMPLED, SURROGATE = "exact", "sampled", "surrogate"
_AGREES = 1e-4
"""How far the sum of the models, with leaves added exactly, may be from the release's answer in float32, relatively."""

_SURE = 1e-9
"""Probabilities smaller than this have no logarithm that can be compared."""


@dataclass(frozen=True)
class Explained:
    """What each column adds to one answer: `base` + the sum of `parts` = `output`, on `scale`.

    `label` is the class that is explained, None for numbers; `answer` its probability, or the number. `how` is
    `exact`, `sampled` or `surrogate`; `errors` are standard errors, zero where the parts are exact. `fit` is the
    weighted R² of a surrogate. `background` counts the rows that the answer is compared with.
    """

    label: str | None
    answer: float
    scale: str
    how: str
    base: float
    output: float
    parts: np.ndarray
    errors: np.ndarray
    background: int
    fit: float | None = None


@dataclass(frozen=True)
class _Engine:
    matrix: Matrix
    shares: TreeShares | LinearShares


class Explainer:
    """Explains one release. What exact values need is prepared once; threads may share it.

    Args:
        release: the release.
        background: rows to compare with, at most 64; by default the typical rows of the release.
    """

    def __init__(self, release: Release, background: Batch | None = None) -> None:
        self.release = release
        self.background = background_of(release) if background is None else background
        self.columns = tuple(field.name for field in release.signature.inputs)
        self._engines: dict[str, _Engine | None] = {}
        self._lock = threading.Lock()

    @cached_property
    def size(self) -> int:
        """How many rows an answer is compared with."""
        return len(next(iter(self.background.values())))

    @cached_property
    def _mixing(self) -> Mixing:
        options = self.release.signature.options
        return Mixing(self.release, "probability" if options else "value", self.columns)

    def explain(self, one: Batch, *, method: str = "shap", label: str | None = None, seed: int = 0) -> Explained:
        """Explain the answer to a batch of one row: why it is `label`, by default the label of the answer.

        Raises:
            BadInput: code `input-invalid`: no such method or class.
        """
        if method not in METHODS:
            raise BadInput("there is no such method", code="input-invalid", where="method", got=method, choices=METHODS)
        outputs = self.release.predict(one)
        place, label = self._class(outputs, label)
        answer = float(outputs["value"][0] if place is None else outputs["probability"][0, place])
        exact = self._exact(one, place, outputs) if method == "shap" else None
        if exact is not None:
            scale, shares = exact
            return self._told(shares, EXACT, scale, label, answer)

        both = {name: np.concatenate([one[name], self.background[name]]) for name in self.columns}
        output = self._mixing.over(both)

        def predict(places: Batch) -> np.ndarray:
            return output(places) if place is None else output(places)[:, place]

        row, others = ({name: places for name in self.columns} for places in (np.array([0]), 1 + np.arange(self.size)))
        scale = VALUE if place is None else PROBABILITY
        if method == "lime":
            local = local_surrogate(predict, row, others, columns=self.columns, seed=seed)
            return self._told(local, SURROGATE, scale, label, answer)
        sampled = explain(predict, row, others, columns=self.columns, seed=seed)
        return self._told(sampled, SAMPLED if sampled.errors.any() else EXACT, scale, label, answer)

    def _told(self, shares: Shares, how: str, scale: str, label: str | None, answer: float) -> Explained:
        fit = shares.fit if isinstance(shares, Local) else None
        return Explained(
            label, answer, scale, how, shares.base, shares.output, shares.parts, shares.errors, self.size, fit
        )

    def _class(self, outputs: Batch, label: str | None) -> tuple[int | None, str | None]:
        """The place and the name of the class or label to explain."""
        classes = self.release.signature.options
        if "probability" not in outputs:
            if label is not None:
                raise BadInput("a number has no classes to explain", code="input-invalid", where="label")
            return None, None
        if label is None:
            label = str(outputs["label"][0]) if "label" in outputs else classes[int(outputs["probability"][0].argmax())]
        if label not in classes:
            raise BadInput(
                "there is no such class", code="input-invalid", where="label", got=label, choices=list(classes)
            )
        return classes.index(label), label

    def _exact(self, one: Batch, place: int | None, outputs: Batch) -> tuple[str, Shares] | None:
        """Exact values, where the answer is a sum of trees and linear maps over features of single columns."""
        if self.release.signature.labels:
            return None
        found = additive(self.release.runner.pipeline, place, len(self.release.signature.classes))
        if found is None:
            return None
        engines = [self._engine(term) for term in found.terms]
        base = output = found.shift
        parts = np.zeros(len(self.columns))
        for term, engine in zip(found.terms, engines, strict=True):
            if engine is None:
                return None
            x = engine.matrix.of(one)
            base += engine.shares.base(term.coefficients)
            output += engine.shares.output(x, term.coefficients)
            parts += engine.shares.shares(x, term.coefficients)
        if not _agree(output, _answered(found, outputs, place), abs(base) + float(np.abs(parts).sum())):
            return None
        return found.scale, Shares(base, parts, np.zeros(len(parts)), output)

    def _engine(self, term: Term) -> _Engine | None:
        name = term.step.output
        with self._lock:
            if name not in self._engines:
                self._engines[name] = self._made(term)
            return self._engines[name]

    def _made(self, term: Term) -> _Engine | None:
        folder, columns = self.release.folder, len(self.columns)
        assert term.step.file is not None
        model = read_model(inside(folder, term.step.file))
        if model is None:
            return None
        matrix = matrix_of(self.release, term.step.inputs[0], self.columns, self.background)
        if (matrix.owner[used_features(model)] == MIXED).any():
            return None
        owner, background = np.maximum(matrix.owner, 0), matrix.of(self.background)
        if isinstance(model, Affine):
            return _Engine(matrix, LinearShares(model, owner, columns, background))
        values = None if term.table is None else load_arrays(inside(folder, term.table))["table"]
        return _Engine(matrix, TreeShares(model, owner, columns, background, values))


def _answered(found: Additive, outputs: Batch, place: int | None) -> float | None:
    """The release's own answer on the scale of the sum, or None where it cannot be told."""
    if place is None:
        return float(outputs["value"][0])
    chances = outputs["probability"][0]
    if found.scale == PROBABILITY:
        return float(chances[place])
    if chances.min() < _SURE:
        return None
    logs = np.log(chances)
    return float(logs[place] - (logs[1 - place] if found.scale == LOG_ODDS else logs.mean()))


def _agree(output: float, answered: float | None, size: float) -> bool:
    """Whether the sum is what the release answers: limits on a number, say, make another one of it."""
    return answered is None or abs(output - answered) <= _AGREES * (abs(answered) + size) + _SURE


__all__ = ["EXACT", "METHODS", "SAMPLED", "SURROGATE", "Explained", "Explainer"]
