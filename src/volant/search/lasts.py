"""The last fits: what was chosen is fitted once more, on all rows, where the budget has room for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from volant.bind.threads import blas_threads
from volant.core.protocols import Rows, Task
from volant.search.before import Before, remember
from volant.search.fits import Fit, Fits
from volant.search.pace import LEAST_SECONDS, SURE, Pace
from volant.search.trials import Member, Rules, Trial

MOST = 0.7
"""Share of what a last fit is expected to take with which it is begun: it ends early then, and has seen all rows."""


COPIES, SLIGHT = 4, 0.15
"""Last fits of one configuration, at the most, and the weight below which there is one: a member that matters so little
may even go in as it is, so no time is kept for its last fit."""
FEWER = 0.25
"""Share of the epochs of the fits on folds below which a last fit knows less than they do: it was cut off too soon."""


def cut_short(last: Mapping[str, Any], folds: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a network saw its rows so much less often in the last fit that those on folds are better."""
    epochs = [float(facts["epochs"]) for facts in folds if "epochs" in facts]
    return bool(epochs) and "epochs" in last and float(last["epochs"]) < FEWER * float(np.mean(epochs))


@dataclass
class Spare:
    """What limits leave beside the chosen members: bytes and milliseconds, and what one more fit of each would take.

    `left` (2,); `sizes` (2,) by the key of the configuration.
    """

    left: np.ndarray
    sizes: Mapping[str, np.ndarray]

    def fits(self, trial: Trial) -> bool:
        return bool((self.sizes[trial.configuration.key] <= self.left).all())

    def take(self, trial: Trial) -> None:
        self.left = self.left - self.sizes[trial.configuration.key]


class _Queue:
    """The fits that are still to be made: one of each trial, then, while there is time and room, others of it.

    The other ones begin at another seed, and their mean errs less than each of them.
    """

    def __init__(self, once: Sequence[Trial], pace: Pace, spare: Spare) -> None:
        self.once, self.pace, self.spare = list(once), pace, spare
        self.begun = dict.fromkeys((t.configuration.key for t in once), 0)
        self.took = {t.configuration.key: t.again for t in once}
        self._lock = threading.Lock()

    def next(self) -> tuple[Trial, int] | None:
        """A trial and which of its fits is to be made, 0 being the first; None if that is all."""
        with self._lock:
            waiting = [t for t in self.once if not self.begun[t.configuration.key]]
            trial = waiting[0] if waiting else self._another()
            if trial is None:
                return None
            self.begun[trial.configuration.key] += 1
            return trial, self.begun[trial.configuration.key] - 1

    def _another(self) -> Trial | None:
        """The trial whose mean would gain most by one more fit."""
        units = sum(self.begun.values()) + 1
        made = self.begun
        wanted = [t for t in self.once if t.restarts and t.weight >= SLIGHT and made[t.configuration.key] < COPIES]
        able = [t for t in wanted if self.spare.fits(t) and self.pace.room(units, self._seconds(t))]
        if not able:
            return None
        chosen = max(able, key=lambda t: t.weight**2 / made[t.configuration.key] / (made[t.configuration.key] + 1))
        self.spare.take(chosen)
        return chosen

    def _seconds(self, trial: Trial) -> float:
        """Seconds that one more fit takes, and some: nobody waits for it, so it must not be late."""
        return self.took[trial.configuration.key] / SURE + LEAST_SECONDS


@dataclass(frozen=True)
class Lasts:
    """Makes members of the trials that were chosen; with `before`, last fits go on from earlier ones."""

    data: Rows
    task: Task
    fits: Fits
    pace: Pace
    rules: Rules
    before: Before | None = None

    def members(self, chosen: Sequence[Trial], numbers: np.ndarray, spare: Spare) -> list[Member]:
        """The last fits, on all rows, of the chosen; their fits on folds where the budget has no room for one.

        `numbers` (n,) is the fold of each row.
        """
        once = sorted((t for t in chosen if not t.bagged), key=lambda t: -t.again)
        lasts = self._lasts(once, spare)
        if self.rules.keep:
            names = {key: fits[0].folder.name for key, fits in lasts.items() if fits}
            remember(self.fits.folder.parent, chosen, names, self.data.keys(), numbers)
        found: list[Member] = []
        for trial in chosen:
            fits = lasts.get(trial.configuration.key, [])
            self.pace.spending.spend(len(fits))
            found += self._of(trial, fits, spare)
        return found

    def _of(self, trial: Trial, lasts: Sequence[Fit], spare: Spare) -> list[Member]:
        """The members that a trial's last fits make, or its fits on folds.

        Where one part was held out, the fit beside it is one more that differs: it joins the last ones, at half of the
        weight of one of them, as it has seen less.
        """
        if not lasts:
            fits = trial.fits if trial.bagged or self.before else trial.fits[:1]
            return [Member(one, trial.weight / len(fits)) for one in fits]
        joins = self.rules.ensemble and trial.restarts and len(trial.fits) == 1 and not self._goes_on
        if not joins or not spare.fits(trial):
            return [Member(one, trial.weight / len(lasts)) for one in lasts]
        spare.take(trial)
        one = trial.weight / (len(lasts) + 0.5)
        return [*(Member(last, one) for last in lasts), Member(trial.fits[0], 0.5 * one)]

    @property
    def _goes_on(self) -> bool:
        """Whether fits are kept for, or come from, another search: each member is one fit then."""
        return self.rules.keep or self.before is not None

    def _lasts(self, once: Sequence[Trial], spare: Spare) -> dict[str, list[Fit]]:
        """The last fits of each trial, by the key of its configuration."""
        single = self._goes_on or not self.rules.ensemble
        queue = _Queue(once, self.pace, replace(spare, left=np.full(2, -1.0)) if single else spare)
        exclusive = any(getattr(t.configuration.learner, "exclusive", False) for t in once)
        wanted = len(once) if single else sum(COPIES if t.restarts else 1 for t in once)
        crew = 1 if exclusive else max(min(wanted, self.rules.threads), 1)
        threads = max(self.rules.threads // crew, 1)
        made: dict[tuple[str, int], Fit] = {}

        def lane() -> None:
            while (following := queue.next()) is not None:
                trial, number = following
                fit = self._last(trial, threads, number)
                if fit is not None:
                    made[trial.configuration.key, number] = fit
                    queue.took[trial.configuration.key] = min(trial.again, fit.seconds)

        with blas_threads(threads), ThreadPoolExecutor(crew) as pool:
            for each in [pool.submit(lane) for _ in range(crew)]:
                each.result()
        return {t.configuration.key: [made[at] for at in sorted(made) if at[0] == t.configuration.key] for t in once}

    def _last(self, trial: Trial, threads: int, number: int) -> Fit | None:
        """A last fit of a configuration, if there is time for most of it and it answers with numbers.

        Those after the first, number 0, begin at seeds of their own.
        """
        settled = trial.configuration.settled([f.facts for f in trial.fits])
        name = f"{settled.key[:12]}-final" + (f"-{number}" if number else "")
        fit = self.fits.load(name)
        if fit is None and (number or self.pace.room(1, MOST * trial.again)):
            context, earlier, rows = self.pace.context(self.pace.left(), threads), None, self.data
            context = replace(context, seed=context.seed + number)
            if self.before is not None:
                earlier = self.before.earlier(trial.configuration, None)
                if earlier is None:
                    return None
                rows = self.before.lesson(rows, np.arange(len(rows)))
            fit = self.fits.make(name, settled, rows, context, earlier)
        if fit is None or cut_short(fit.facts, [each.facts for each in trial.fits]):
            return None
        return fit if self._is_finite(fit) else None

    def _is_finite(self, fit: Fit) -> bool:
        """Whether a fit that no held-out row has judged answers with numbers."""
        rows = self.data.take(np.arange(min(len(self.data), 1_000)))
        return bool(np.isfinite(fit.predict(rows, self.task.output, self.rules.threads)).all())
