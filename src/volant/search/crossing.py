"""The fits of one configuration on folds, each predicting the rows that it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from volant.bind.threads import blas_threads
from volant.core.protocols import Rows
from volant.search.before import Before
from volant.search.fits import Configuration, Fit, Fits
from volant.search.pace import Layout, Pace


@dataclass(frozen=True)
class Crossing:
    """Rows in folds. `numbers` (n,) is the fold of each row; with one fold, fold 0 is held out and 1 all others.

    With `before`, fits go on from earlier ones.
    """

    data: Rows
    numbers: np.ndarray
    layout: Layout
    fits: Fits
    pace: Pace
    before: Before | None = None

    def fit(self, configuration: Configuration, seconds: float) -> Iterator[Fit]:
        """The fits on folds, in order, within so many seconds; a turn begins when the one before it was taken."""
        stop_at = self.pace.spending.remaining_seconds() - seconds
        crew, threads = self.layout.crew, self.layout.threads
        if getattr(configuration.learner, "exclusive", False):
            crew, threads = 1, crew * threads
        turns = -(-self.layout.folds // crew)

        def fitted(fold: int) -> Fit:
            left = (self.pace.spending.remaining_seconds() - stop_at) / (turns - fold // crew)
            return self._fold(configuration, fold, left, threads)

        folds = range(self.layout.folds)
        with blas_threads(threads):
            if crew == 1:
                yield from map(fitted, folds)
            else:
                with ThreadPoolExecutor(crew) as pool:
                    for first in folds[::crew]:
                        yield from pool.map(fitted, folds[first : first + crew])

    def _fold(self, configuration: Configuration, fold: int, seconds: float, threads: int) -> Fit:
        rows, out = np.flatnonzero(self.numbers != fold), np.flatnonzero(self.numbers == fold)
        name = f"{configuration.key[:12]}-{len(rows)}-{fold}"
        made = self.fits.load(name)
        if made is not None:
            return made
        context = replace(self.pace.context(seconds, threads), validation=self.data.take(out))
        if self.before is None:
            return self.fits.make(name, configuration, self.data.take(rows), context)
        lesson = self.before.lesson(self.data, rows)
        return self.fits.make(name, configuration, lesson, context, self.before.earlier(configuration, fold))

    def predicted(self, fits: list[Fit]) -> np.ndarray:
        """Predictions (n, …) of the first folds' fits, NaN for the rows of all other folds."""
        first = fits[0].predicted
        assert first is not None
        out = np.full((len(self.numbers), *first.shape[1:]), np.nan)
        for fold, fit in enumerate(fits):
            out[self.numbers == fold] = fit.predicted
        return out

    def half_way(self, fits: list[Fit]) -> bool:
        """Whether a third or a half of several folds is done: time to ask whether the others are worth it."""
        return self.layout.folds > 1 and len(fits) == (self.layout.folds + 2) // 3
