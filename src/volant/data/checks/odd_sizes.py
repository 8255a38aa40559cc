"""Pictures that are far smaller, or of another shape, than the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, many, share
from volant.data.checks.pictures import pictures_in, total
from volant.data.checks.study import Study

TINY = 16
SMALLER = 8.0
"""How many times smaller than usual, along the shorter side, a picture must be to be odd."""

LONGER = 3.0
"""How many times longer or wider than usual, for its other side, a picture must be to be odd."""

USUAL = 0.05
"""Share from which on such pictures are usual."""


class OddSizes(DataCheck):
    """Warns about a few pictures that are far smaller, or far longer or wider, than the others."""

    name = "odd_sizes"
    summary = "The pictures have about one size and shape."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        found: list[Finding] = []
        for name, sample, looks in pictures_in(data, problem):
            shorter = np.minimum(looks.width, looks.height)
            shape = np.log(looks.width / looks.height)
            usual, upright = np.nanmedian(shorter), np.nanmedian(shape)
            tiny = shorter < (usual / SMALLER if usual >= SMALLER * TINY else min(TINY, usual / 2))
            long = np.minimum(np.abs(shape - upright), np.abs(shape + upright)) > np.log(LONGER)
            for words, mask in (("far smaller", tiny), ("far longer or wider", long & ~tiny)):
                if mask.any() and mask.sum() <= USUAL * looks.known.sum():
                    found.append(self._odd(name, words, mask, sample))
        return found

    def _odd(self, name: str, words: str, mask: np.ndarray, sample: Study) -> Finding:
        count, part = total(mask.sum(), sample), float(mask.mean())
        verb = "is" if count == 1 else "are"
        return self._warn(
            f"{many(count, 'picture', 'pictures')} of {name!r} {verb} {words} than the others ({share(part, 1)})",
            "look at them: icons and banners that got among photographs teach nothing",
            column=name,
            rows=sample.evidence(mask),
            count=count,
            score=min(1.0, 0.1 + 3 * part),
        )
