"""Pictures on which there is nothing to see: one colour, nearly black, nearly white."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, many, share
from volant.data.checks.pictures import pictures_in, total
from volant.data.checks.study import Study

FLAT = 2.0
"""Standard deviation of the shades, of 255, below which a picture is of one colour."""

DARK, BRIGHT = 12.0, 243.0
USUAL = 0.2
"""Share of such pictures from which on that is what the pictures are like, as drawings on white are bright."""


class BlankPictures(DataCheck):
    """Warns about pictures of one colour, and about a few very dark or very bright ones among others."""

    name = "blank_pictures"
    summary = "Every picture shows something."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        found: list[Finding] = []
        for name, sample, looks in pictures_in(data, problem):
            flat = looks.known & (looks.spread < FLAT)
            brightness = looks.brightness
            kinds = (
                ("of one colour", flat, 1.0),
                ("nearly black", looks.known & ~flat & (brightness < DARK), USUAL),
                ("nearly white", looks.known & ~flat & (brightness > BRIGHT), USUAL),
            )
            known = max(int(looks.known.sum()), 1)
            for words, mask, usual in kinds:
                if mask.any() and mask.sum() / known <= usual:
                    found.append(self._kind(name, words, mask, sample, known))
        return found

    def _kind(self, name: str, words: str, mask: np.ndarray, sample: Study, known: int) -> Finding:
        count, part = total(mask.sum(), sample), mask.sum() / known
        verb = "is" if count == 1 else "are"
        return self._warn(
            f"{many(count, 'picture', 'pictures')} of {name!r} {verb} {words} ({share(part, 1)})",
            "look at them; take them out of the source if a camera or a program failed",
            column=name,
            rows=sample.evidence(mask),
            count=count,
            score=float(min(1.0, 0.1 + 3 * part)),
        )
