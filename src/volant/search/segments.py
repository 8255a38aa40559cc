"""Personal answers: an offset for each value of a column, as far as its own rows prove one (empirical Bayes).

A model that has seen few rows of a segment answers for it as for all others. What its rows say besides, out of fold, is
mostly chance where they are few; how much of it is not follows from how far all segments lie apart.

Source: Morris, Parametric Empirical Bayes Inference, JASA 1983; the variance between segments by the method of moments
of DerSimonian and Laird, 1986, around a mean of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from volant.core.ids import keyed_unit
from volant.core.records import Pipeline, Step
from volant.runtime.decisions import moved, nameless

LEAST_ROWS = 5
"""Rows that a value needs to have an offset of its own, as for a place in a vocabulary."""
MOST = 3.0
"""The largest offset of a logarithm."""
MOST_VALUES = 5_000
"""Values that can have an offset of their own: those with the most rows, so that a release stays small."""
ROUNDS = 6
SURE = 2.0


@dataclass(frozen=True)
class Offsets:
    """An offset per value of a column, (values, C) for the logarithms of C probabilities, (values, 1) for a number.

    With `salt` the values are people, under keyed hashes of their names.
    """

    column: str
    values: tuple[str, ...]
    offsets: np.ndarray
    salt: str | None = None

    def step(self, source: str) -> Step:
        """The step of a pipeline that adds them to its answer."""
        params: dict[str, Any] = {"values": list(self.values), "offsets": np.round(self.offsets, 6).tolist()}
        params |= {} if self.salt is None else {"salt": self.salt}
        return Step("offset_by_group", (source, self.column), "personal", params)

    def finish(self, pipeline: Pipeline, output: str) -> Pipeline:
        """A pipeline whose answer they are added to."""
        step = self.step(pipeline.outputs[output])
        return replace(pipeline, steps=(*pipeline.steps, step), outputs={**pipeline.outputs, output: step.output})

    def apply(self, predicted: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Answers (n, …) with the offsets of their groups (n,)."""
        named = group if self.salt is None else nameless(group, self.salt)
        return moved(predicted, named, self.values, np.round(self.offsets, 6))


@dataclass(frozen=True)
class Told:
    """Rows that no model of the answers had seen: answers (n, C) or (n,), truth (n,), weights, groups and keys (n,)."""

    predicted: np.ndarray
    truth: np.ndarray
    weights: np.ndarray
    group: np.ndarray
    keys: np.ndarray

    def some(self, rows: np.ndarray) -> Told:
        return Told(self.predicted[rows], self.truth[rows], self.weights[rows], self.group[rows], self.keys[rows])


def learn_offsets(told: Told, column: str, salt: str | None = None) -> Offsets | None:
    """The offsets that held-out rows prove, or None where they prove none.

    Each half of the rows, by their keys, must gain by what the other half says, `SURE` standard errors in all. With
    `salt` the groups are those whom the keys name, so the halves are of each person's own rows.
    """
    if salt is not None:
        told = replace(told, group=nameless(told.group, salt), keys=_each_of(told.keys))
        found = learn_offsets(told, column)
        return None if found is None else replace(found, salt=salt)
    half = np.array(keyed_unit("halves for segments", map(str, told.keys))) < 0.5
    gains = []
    for mine in (half, ~half):
        found = _fitted(told.some(np.flatnonzero(~mine)), column)
        if found is None:
            return None
        rows = told.some(np.flatnonzero(mine))
        gains.append(losses(rows, rows.predicted) - losses(rows, found.apply(rows.predicted, rows.group)))
    gain = np.concatenate(gains)
    return _fitted(told, column) if gain.sum() > SURE * np.sqrt((gain**2).sum()) else None


def _each_of(keys: np.ndarray) -> np.ndarray:
    """The rows of each key told apart by their order, (n,)."""
    seen: dict[str, int] = {}
    names = []
    for key in map(str, keys):
        seen[key] = seen.get(key, 0) + 1
        names.append(f"{key} {seen[key]}")
    return np.array(names, dtype=object)


def losses(told: Told, predicted: np.ndarray) -> np.ndarray:
    """The weighted log-losses, or squared errors, (n,)."""
    if predicted.ndim == 1:
        return np.asarray(told.weights * (told.truth - predicted) ** 2)
    likely = predicted[np.arange(len(told.truth)), told.truth]
    return np.asarray(-told.weights * np.log(np.maximum(likely, 1e-12)))


def _fitted(told: Told, column: str) -> Offsets | None:
    values, code = _coded(told.group)
    if len(values) < 2:
        return None
    known = code >= 0
    told, code = told.some(np.flatnonzero(known)), code[known]
    single = told.predicted.ndim == 1
    classes = 1 if single else told.predicted.shape[1]
    offsets, between = np.zeros((len(values), classes)), np.zeros(classes)
    for number in range(1 if single else ROUNDS):
        slope, bend = _derivatives(told, code, values, offsets)
        if number == 0:
            between = _between(slope, bend)
        held = (1 if single else 2) * bend + 1.0 / np.maximum(between, 1e-12)  # twice: all classes move at once
        offsets = offsets + (slope - offsets / np.maximum(between, 1e-12)) / held
        offsets = offsets if single else np.clip(offsets, -MOST, MOST)
    return Offsets(column, values, offsets) if (between > 0).any() else None


def _derivatives(
    told: Told, code: np.ndarray, values: Sequence[str], offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of the log-likelihood in each offset alone: its slope and minus its second derivative, (values, C) each."""
    now = moved(told.predicted, told.group, values, offsets)
    if now.ndim == 1:
        left = told.truth - now
        variance = max(float(np.average((told.truth - told.predicted) ** 2, weights=told.weights)), 1e-300)
        per_row, bends = (left / variance)[:, None], np.full((len(left), 1), 1.0 / variance)
    else:
        per_row = np.eye(now.shape[1])[told.truth] - now
        bends = now * (1.0 - now)
    size = len(values)
    slope = np.stack([np.bincount(code, told.weights * column, size) for column in per_row.T], axis=1)
    bend = np.stack([np.bincount(code, told.weights * column, size) for column in bends.T], axis=1)
    return slope, np.maximum(bend, 1e-12)


def _between(slope: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """The variance of true offsets between segments, (C,): what lies apart beyond what chance gives.

    The offsets of C classes have one degree of freedom less than there are.
    """
    apart, classes = (slope**2 / bend).sum(axis=0), slope.shape[1]
    free = (classes - 1) / classes if classes > 1 else 1.0
    return np.asarray(free * np.maximum(apart - len(slope), 0.0) / bend.sum(axis=0))


def _coded(group: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """The values with enough rows, in order, and the place of each row's among them, -1 for any other, (n,)."""
    count: dict[str, int] = {}
    for one in group:
        if one is not None:
            count[one] = count.get(one, 0) + 1
    often = sorted((-rows, value) for value, rows in count.items() if rows >= LEAST_ROWS)[:MOST_VALUES]
    values = tuple(sorted(value for _, value in often))
    place = {value: i for i, value in enumerate(values)}
    return values, np.array([place.get(one, -1) for one in group], dtype=np.int64)
