"""Classes that are told by what is around a picture: its size, its format, its border. A model would learn that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from volant.columns.looks import Looks
from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.association import Outcome, skill
from volant.data.checks.base import DataCheck, is_classes, share, target_of
from volant.data.checks.leakage import outcome_of
from volant.data.checks.pictures import pictures_in
from volant.data.checks.study import Study

SUSPICIOUS = 0.8
"""Skill from which on such a thing, which says nothing of what the picture shows, is worth a warning."""

FLAT_BORDER = 12.0
"""Standard deviation of the border's shades below which it is a background of one colour."""

COLOURED = 0.5
"""Share of pictures with such a background from which on its colour is looked at."""

STEPS = 24.0


class PictureLeaks(DataCheck):
    """Predicts the target from size, format, file and background colour alone, every picture without itself."""

    name = "picture_leaks"
    summary = "What is around the pictures (size, format, background) does not tell the target."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        target = target_of(data, problem, context)
        if target is None:
            return []
        classes, found = is_classes(data, problem, context), []
        for name, sample, looks in pictures_in(data, problem):
            rows, outcome = outcome_of(sample, target, classes)
            if outcome is not None:
                found += list(self._leaks(name, looks, rows, outcome, sample))
        return found

    def _leaks(self, name: str, looks: Looks, rows: np.ndarray, outcome: Outcome, sample: Study) -> Iterator[Finding]:
        for words, values in _around(looks):
            own = values[rows]
            if len(np.unique(own[~np.isnan(own)])) < 2:
                continue
            told = skill(own, outcome, nominal=True)
            if told.score >= SUSPICIOUS:
                yield self._warn(
                    f"{words} of {name!r} alone {'tell' if words.endswith('s') else 'tells'} the target "
                    f"(better than guessing by {share(told.score, 1)}){sample.said}",
                    "a model would learn this and fail on other pictures: bring all classes to one size, format and "
                    "background, or collect each class in the same way",
                    column=name,
                    count=len(rows) - told.wrong,
                    score=float(min(told.score, 1.0)),
                )
                return


def _around(looks: Looks) -> Iterator[tuple[str, np.ndarray]]:
    """What is around pictures, as numbers (n,) that are equal where it is alike; the plainest first."""
    yield "the format", looks.format
    yield "the size in pixels", looks.width * 100_000 + looks.height
    yield "what cameras wrote into the files", np.minimum(looks.metadata, 20) * 10 + looks.turned
    flat = looks.border_spread < FLAT_BORDER
    if flat.sum() >= COLOURED * max(looks.known.sum(), 1):
        cells = np.floor(looks.border / STEPS)
        code = (cells[:, 0] * 100 + cells[:, 1]) * 100 + cells[:, 2]
        yield "the background colour", np.where(looks.known, np.where(flat, code, -1.0), np.nan)
    yield "the size of the files", np.round(np.log2(np.maximum(looks.bytes, 1)) * 4)
