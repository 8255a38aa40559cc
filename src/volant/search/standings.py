"""How the trials of a search stand: what is best, what leads, and which comes next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from volant.core.protocols import Rows
from volant.search.choice import LEADERS, LOOKED_AT, leaders, size_of
from volant.search.crossing import Crossing
from volant.search.ensemble import greedy_weights
from volant.search.losses import Losses
from volant.search.pace import LEAST_SECONDS, SHORT, Pace
from volant.search.trials import Rules, Trial

HOPEFUL = 3
"""Learners, the best ones so far, whose other configurations come before those of the rest."""


class Standings:
    """The trials of one search.

    Args:
        losses: what judges them.
        pace: what the budget has left.
        rules: what a release may weigh and take.
        row: a single row, to measure how long one takes.
    """

    def __init__(self, losses: Losses, pace: Pace, rules: Rules, row: Rows) -> None:
        self.losses, self.pace, self.rules, self.row = losses, pace, rules, row
        self.trials: list[Trial] = []
        self.best: Trial | None = None
        self.baseline_loss = float("inf")
        self._led, self._leaders = 0, list[Trial]()
        self._sizes: dict[str, np.ndarray] = {}

    def done(self) -> list[Trial]:
        return [t for t in self.trials if t.status == "done"]

    def note(self, trial: Trial) -> None:
        """A trial is done."""
        trial.status = "done"
        self.best = min((t for t in (self.best, trial) if t is not None), key=self.losses.of)

    def leading(self) -> list[Trial]:
        """What would be combined now, for whose last fits time is kept; under a work budget there is no need."""
        done = [] if self.pace.by_work else self.done()
        if len(done) != self._led:
            self._led, self._leaders = len(done), leaders(done, self.loss_at, self.rules, self._size)
            self.pace.per_row = sum({id(trial): trial.per_row for trial in self._leaders}.values())
        return self._leaders

    def _size(self, trial: Trial) -> np.ndarray:
        """Bytes and milliseconds of a trial, measured once, in haste."""
        if trial.configuration.key not in self._sizes:
            self._sizes[trial.configuration.key] = size_of(trial, self.row)
        return self._sizes[trial.configuration.key]

    def loss_at(self, predicted: np.ndarray, rows: np.ndarray) -> float:
        return self.losses.turned(self.losses.score_of(predicted, rows))

    def next(self, crossing: Crossing) -> Trial | None:
        """The first configuration that the budget has room for, of the best learners and of those never tried.

        Where there is none, the first of them that can do a good part of its work in what time there is: its fits
        end early and may do well nevertheless. Then any other that there is room for.
        """
        waiting, best = [t for t in self.trials if t.status == "waiting"], self.leading()
        tried = {t.learner for t in self.trials if t.status != "waiting"}
        hopeful = set(list(dict.fromkeys(t.learner for t in sorted(self.done(), key=self.losses.of)))[:HOPEFUL])
        units, layout, pace = crossing.layout.folds + 1, crossing.layout, self.pace
        costs = {t.configuration.name: pace.cost(t, layout, best) for t in waiting}
        first = [t for t in waiting if t.learner in hopeful or t.learner not in tried]
        for trial in first:
            if pace.room(units, costs[trial.configuration.name]):
                return self._in_the_better_way(trial)
        if not pace.by_work and pace.left() - pace.lasts(best) > 5 * LEAST_SECONDS:
            for trial in first:
                if SHORT * costs[trial.configuration.name] <= pace.left() or trial.learner not in tried:
                    return self._in_the_better_way(trial)
        for trial in waiting:
            if pace.room(units, costs[trial.configuration.name]):
                return self._in_the_better_way(trial)
        nothing = not self.done() and all(t.status != "running" for t in self.trials)
        enough = nothing and waiting and pace.room(units, LEAST_SECONDS)
        return min(waiting, key=pace.expected) if enough else None

    def _in_the_better_way(self, trial: Trial) -> Trial:
        """Later configurations learn a number in the way, plain or as a logarithm, that the first ones did best in."""
        done = self.done()
        logs = [t.configuration.logarithm for t in done]
        ways = {log is None for log in logs}
        if len(ways) == 2 and trial.configuration.logarithm is None:
            best = min(done, key=self.losses.of)
            trial.configuration = replace(trial.configuration, logarithm=best.configuration.logarithm)
        return trial

    def adds_nothing(self, trial: Trial, crossing: Crossing) -> bool:
        """Whether the best configurations would be no better with this one beside them, as its first folds tell.

        What would have no weight in the end is not worth the time of its other folds.
        """
        done = sorted(self.done(), key=self.losses.of)[:LEADERS]
        if not done or not crossing.half_way(trial.fits):
            return False
        rows = np.flatnonzero(crossing.numbers < len(trial.fits))
        rows = rows[:: max(len(rows) // LOOKED_AT, 1)]
        predicted = crossing.predicted(trial.fits)[rows]
        if not np.isfinite(predicted).all():
            return False
        arrays = [t.predicted[rows] for t in done if t.predicted is not None] + [predicted]
        return greedy_weights(arrays, lambda p: self.loss_at(p, rows))[-1] == 0.0
