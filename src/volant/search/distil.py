"""Distillation: a student that learns from the out-of-fold answers of a whole ensemble as well as from the truth.

The student is a configuration like any other, whose rows are taught: it is judged by the truth, out of fold.
Source: Hinton et al., Distilling the Knowledge in a Neural Network (2015), for learners that take weights alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from volant.core.ids import digest
from volant.core.protocols import Rows
from volant.search.views import WithTarget, WithWeights

TEACHER = 0.6
"""How much the teacher's answer counts against the truth."""
MOST_ANSWERS = 3
"""Classes per row that a student is told of."""
LEAST = 0.03
"""Probability below which the student is not told of a class."""


@dataclass(frozen=True)
class Lesson:
    """What a teacher answers for rows, by the numbers of the rows: probabilities (n, C) or values (n,)."""

    numbers: np.ndarray
    answers: np.ndarray
    classes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What names the lesson among others."""
        return digest([self.numbers.tolist(), np.round(self.answers, 6).tolist()])

    def rows(self, data: Rows, target: str) -> Rows:
        """The rows as the student sees them; rows that the teacher says nothing of keep their truth alone."""
        order = np.argsort(self.numbers, kind="stable")
        given = data.numbers()
        place = np.minimum(np.searchsorted(self.numbers[order], given), len(order) - 1)
        told = self.answers[order[place]]
        known = self.numbers[order[place]] == given
        if not self.classes:
            return self._numbers(data, target, told, known)
        return self._classes(data, target, told, known)

    def _numbers(self, data: Rows, target: str, told: np.ndarray, known: np.ndarray) -> Rows:
        truth = data.table([target]).column(0).combine_chunks().cast(pa.float64()).to_numpy(zero_copy_only=False)
        mixed = np.where(known, TEACHER * told + (1 - TEACHER) * truth, truth)
        mixed = np.clip(mixed, truth.min(), truth.max())
        return WithTarget(data, target, pa.array(mixed, pa.float64()))

    def _classes(self, data: Rows, target: str, told: np.ndarray, known: np.ndarray) -> Rows:
        """Each row once with its truth, and once with each class that the teacher holds likely."""
        likely = np.argsort(-told, axis=1, kind="stable")[:, :MOST_ANSWERS]
        chance = np.take_along_axis(told, likely, axis=1)
        chance = np.where((chance >= LEAST) & known[:, None], chance, 0.0)
        chance = TEACHER * chance / np.maximum(chance.sum(axis=1, keepdims=True), 1e-12)
        row, column = np.nonzero(chance)
        truth = data.table([target]).column(0).combine_chunks()
        labels = pa.array([self.classes[c] for c in likely[row, column]]).cast(truth.type)
        all_rows = data.take(np.concatenate([np.arange(len(data)), row]))
        factors = np.concatenate([np.where(known, 1 - TEACHER, 1.0), chance[row, column]])
        return WithWeights(WithTarget(all_rows, target, pa.concat_arrays([truth, labels])), factors)
