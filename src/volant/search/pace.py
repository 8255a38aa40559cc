"""What the budget has left, what fits are expected to need of it, and how many of them go on at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from volant.core.budget import Spending
from volant.core.clock import Machine
from volant.core.protocols import Learner, RunContext, Wakes
from volant.core.records import Problem
from volant.search.folds import how_many
from volant.search.trials import AGAIN, Rules, Trial

LEAST_SECONDS = 0.6
"""Seconds below which no fit is begun."""
FORCED = 0.3
"""Share of the time left that any configuration may take, however quick it was expected to be."""
LATE = 1.5
"""Times what was expected that a configuration may take."""
SHORT = 0.4
"""Share of what it is expected to need with which a configuration is begun all the same: fits can end early."""
SURE = 0.93
"""Share of the time left in which the last fits are expected to end: choosing them takes some, too."""
FEWER, FOLDED = 4, 0.8
"""Folds where there is no time for more, and the share of the time left that one configuration of each learner may
take on all folds; where that is too much for these few folds, too, one part is held out."""
MOST_LANES = 4
USUAL = 1e-4
"""Seconds to predict one of many rows that are thought of in what comes after the search."""


@dataclass(frozen=True)
class Layout:
    """What goes on at the same time: configurations, folds of each, and threads of each fit.

    Fits with one thread each, side by side, do more than one fit with all threads: the threads of a library that
    grows trees wait for each other, and a training loop in Python uses one core whatever it is given.
    """

    folds: int
    lanes: int
    crew: int
    threads: int

    @property
    def turns(self) -> int:
        """Folds of a configuration one after another."""
        return -(-self.folds // self.crew)

    @staticmethod
    def of(folds: int, threads: int, most_lanes: int = MOST_LANES) -> Layout:
        """The layout for so many folds on so many threads."""
        crew = max(min(folds, threads), 1)
        lanes = max(min(threads // crew, most_lanes), 1)
        return Layout(folds, lanes, crew, max(threads // (crew * lanes), 1))


class Pace:
    """The budget of one search.

    Args:
        problem: what is learned.
        machine: what there is to learn it on.
        rules: how many threads may be used, and the seed.
        spending: the budget, begun when the stage began.
        tail: seconds to keep for what comes after the search.
        outside: rows that the result will have to predict then. What leads may be slow at that (`per_row` seconds).
    """

    def __init__(
        self,
        problem: Problem,
        machine: Machine,
        rules: Rules,
        spending: Spending,
        tail: Callable[[], float],
        outside: int = 0,
    ) -> None:
        self.problem, self.machine, self.rules, self.spending, self.tail = problem, machine, rules, spending, tail
        self.by_work = spending.budget.units is not None
        self.outside, self.per_row = outside, 0.0
        self._ratios: dict[str, float] = {}

    def wake(self, trial: Trial) -> bool:
        """Let a trial's learner get what it needs before its fits are timed; whether there is time left for one."""
        learner = trial.configuration.learner
        if not isinstance(learner, Wakes):
            return True
        learner.wake()
        return self.by_work or self.left() > LEAST_SECONDS

    def layout(self, trials: Sequence[Trial], rows: int) -> Layout:
        """As many folds as each learner's first configuration can afford; under a work budget one at a time."""
        waiting = [t for t in trials if t.status == "waiting"]
        if self.by_work:
            return Layout.of(1 if self.rules.by_time else self._folds_for_work(how_many(rows)), self.rules.threads, 1)
        folds = 1 if self.rules.by_time else how_many(rows)
        firsts = {t.learner: self.expected(t) for t in reversed(waiting)}
        while folds > 1 and sum(firsts.values()) * folds / self.rules.threads >= FOLDED * self.left():
            folds = FEWER if folds > FEWER else 1
        heaviest = max((self.bytes(t) for t in waiting), default=0)
        return Layout.of(folds, self.rules.threads, min(MOST_LANES, self.machine.memory // max(heaviest, 1)))

    def _folds_for_work(self, most: int) -> int:
        units = self.spending.budget.units or 0
        return min(most, max(3, units // 3)) if units > 3 else 1

    def left(self) -> float:
        """Seconds left for the search itself."""
        return self.spending.remaining_seconds() - self.tail() - self.outside * max(self.per_row - USUAL, 0.0)

    def room(self, units: int, seconds: float) -> bool:
        """Whether work of that size fits into the budget, with what comes after the search."""
        return self.spending.affords(units, 0.0) if self.by_work else seconds <= self.left()

    def seconds(self, learner: Learner) -> float:
        """The learner's own estimate for one fit with one thread."""
        return learner.estimate(self.problem, replace(self.machine, cores=1)).seconds

    def expected(self, trial: Trial) -> float:
        """Seconds for one fit: the learner's estimate, corrected by how wrong it was so far."""
        learner = trial.configuration.learner
        return self.seconds(learner) * self._ratios.get(learner.name, 1.0)

    def cost(self, trial: Trial, layout: Layout, best: Sequence[Trial]) -> float:
        """Seconds for a configuration's folds, and then for the last fits of the best ones.

        And of this one, if it has a fit on one fold alone: those on several may go into the release as they are.
        """
        expected = self.expected(trial)
        lasts = self.lasts([*best, expected] if layout.folds == 1 else best)
        return max(expected * layout.turns, LEAST_SECONDS) + lasts

    def lasts(self, fits: Sequence[Trial | float]) -> float:
        """Seconds to keep for last fits, side by side, of trials or of what takes so many seconds on a fold."""
        times = [AGAIN * fit if isinstance(fit, float) else fit.again for fit in fits]
        return max(max(times, default=0.0), sum(times) / self.rules.threads) / SURE

    def for_lasts(self) -> float:
        """Seconds in which the last fits must end, side by side."""
        return float("inf") if self.by_work else max(SURE * self.left(), 0.01)

    def limit(self, trial: Trial, layout: Layout, best: Sequence[Trial]) -> float:
        """Seconds that a configuration's folds may take: some more than expected, but never all there is."""
        room = self.left() - self.lasts(best)
        return min(max(LATE * self.expected(trial) * layout.turns, FORCED * room), 0.8 * room)

    def bytes(self, trial: Trial) -> int:
        """Bytes of memory that one fit takes, as its learner says."""
        return trial.configuration.learner.estimate(self.problem, self.machine).bytes

    def note(self, trial: Trial, limit: float, layout: Layout) -> None:
        """Learn from how long the fits took; those that the limit cut short would have taken longer still."""
        learner = trial.configuration.learner
        mean = trial.seconds / max(len(trial.fits), 1)
        ratio = mean / max(self.seconds(learner), 1e-3)
        cut = mean * layout.turns > 0.8 * limit
        self._ratios[learner.name] = max(ratio, self._ratios.get(learner.name, 0.0)) if cut else ratio

    def context(self, seconds: float, threads: int) -> RunContext:
        """What a fit is told that may take so long."""
        return RunContext(
            seed=self.rules.seed,
            seconds=float("inf") if self.by_work else max(seconds, 0.2),
            threads=threads,
            spending=self.spending,
        )
