"""The last fits: what was chosen is fitted once more, on all rows, where the budget has room for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.bind.threads import blas_threads
from volant.core.protocols import Rows, Task
from volant.search.before import Before, remember
from volant.search.fits import Fit, Fits
from volant.search.pace import Pace
from volant.search.trials import Member, Rules, Trial

MOST = 0.7
"""Share of what a last fit is expected to take with which it is begun: it ends early then, and has seen all rows."""


FEWER = 0.25
"""Share of the epochs of the fits on folds below which a last fit knows less than they do: it was cut off too soon."""


def cut_short(last: Mapping[str, Any], folds: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a network saw its rows so much less often in the last fit that those on folds are better."""
    epochs = [float(facts["epochs"]) for facts in folds if "epochs" in facts]
    return bool(epochs) and "epochs" in last and float(last["epochs"]) < FEWER * float(np.mean(epochs))


@dataclass(frozen=True)
class Lasts:
    """Makes members of the trials that were chosen; with `before`, last fits go on from earlier ones."""

    data: Rows
    task: Task
    fits: Fits
    pace: Pace
    rules: Rules
    before: Before | None = None

    def members(self, chosen: Sequence[Trial], numbers: np.ndarray) -> list[Member]:
        """The last fits, on all rows, of the chosen; their fits on folds where the budget has no room for one.

        `numbers` (n,) is the fold of each row.
        """
        once = sorted((t for t in chosen if not t.bagged), key=lambda t: -t.again)
        exclusive = any(getattr(t.configuration.learner, "exclusive", False) for t in once)
        crew = 1 if exclusive else max(min(len(once), self.rules.threads), 1)
        threads = max(self.rules.threads // crew, 1)

        def last(trial: Trial) -> Fit | None:
            return self._last(trial, threads)

        with blas_threads(threads), ThreadPoolExecutor(crew) as pool:
            lasts = dict(zip((t.configuration.key for t in once), pool.map(last, once), strict=True))
        if self.rules.keep:
            names = {key: fit.folder.name for key, fit in lasts.items() if fit is not None}
            remember(self.fits.folder.parent, chosen, names, self.data.keys(), numbers)
        found: list[Member] = []
        for trial in chosen:
            fit = lasts.get(trial.configuration.key)
            if fit is not None:
                self.pace.spending.spend(1)
            fits = [fit] if fit is not None else trial.fits if trial.bagged or self.before else trial.fits[:1]
            found += [Member(one, trial.weight / len(fits)) for one in fits]
        return found

    def _last(self, trial: Trial, threads: int) -> Fit | None:
        """The last fit of a configuration, if there is time for most of it and it answers with numbers."""
        settled = trial.configuration.settled([f.facts for f in trial.fits])
        name = f"{settled.key[:12]}-final"
        fit = self.fits.load(name)
        if fit is None and self.pace.room(1, MOST * trial.again):
            context, earlier, rows = self.pace.context(self.pace.left(), threads), None, self.data
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
