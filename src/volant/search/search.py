"""The search: configurations in a fixed order, out-of-fold predictions, a greedy ensemble, a last fit on all rows.

Under a work budget nothing here reads a clock, so the same data and seed give the same result. Under a
time budget every fit is told how long it may take, and none is begun that could not do its work in that time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from volant.bind.threads import blas_threads
from volant.core.budget import Spending
from volant.core.clock import Machine
from volant.core.progress import Progress
from volant.core.protocols import Learner, Rows, RunContext, Task
from volant.core.records import Problem
from volant.errors import Failure, VolantError, place_of
from volant.search.before import Before, remember
from volant.search.calibrate import Calibration, calibrate
from volant.search.choice import Choice, choose, held_out, leaders, size_of, students
from volant.search.crossing import Crossing
from volant.search.distil import Lesson
from volant.search.fits import Configuration, Fit, Fits
from volant.search.folds import fold_numbers, latest
from volant.search.logarithm import Logarithm
from volant.search.losses import Losses
from volant.search.pace import LEAST_SECONDS, MOST_LANES, SHORT, Layout, Pace
from volant.search.portfolio import BASELINE, plan
from volant.search.telling import Telling
from volant.search.trials import Found, HeldOut, Member, Rules, Trial
from volant.search.tune import Tuning
from volant.search.views import WithWeights
from volant.search.weighing import Weighing

FAR_BEHIND = 0.3
"""Share of the way from the best configuration back to the baseline, from which on another is given up early."""
HOPEFUL = 3
"""Learners, the best ones so far, whose other configurations come before those of the rest."""
MOST = 0.7
"""Share of what a last fit is expected to take with which it is begun: it ends early then, and has seen all rows."""
MUCH = 0.01
"""Relative loss by which a release may fall behind the best ensemble before students are taught."""


class Search:
    """One run over the training rows.

    Args:
        data: the training rows.
        problem: what is learned.
        task: how it is judged.
        learners: by name; those that do not support the problem are listed with the reason.
        rules: seed, threads, metric, what a release may weigh.
        spending: the budget, begun when the stage began.
        tail: seconds to keep for what comes after the search.
        weighing: what rows count in training besides their own weights; they are judged by their own alone.
        before: an earlier search whose fits this one goes on from, instead of its own configurations.
        folder: where finished fits are kept.
    """

    def __init__(
        self,
        data: Rows,
        problem: Problem,
        task: Task,
        *,
        learners: Mapping[str, Learner],
        rules: Rules,
        spending: Spending,
        folder: Path,
        progress: Progress,
        machine: Machine,
        tail: Callable[[], float] = lambda: 0.0,
        weighing: Weighing | None = None,
        before: Before | None = None,
    ) -> None:
        self.data: Rows = data if weighing is None else WithWeights(data, weighing.factors)
        self.problem, self.task = problem, task
        self.rules, self.spending, self.progress, self.machine = rules, spending, progress, machine
        self.pace = Pace(problem, machine, rules, spending, tail)
        correction = () if weighing is None else weighing.correction
        self.fits = Fits(
            folder,
            problem,
            task.output,
            correction,
            lambda name: Telling(name, self._note, progress),
            keeps=rules.keep,
        )
        self.before = before
        self.learners = learners
        self.losses = Losses(task, problem, rules.metric, data)
        self.trials: list[Trial] = []
        self._best: Trial | None = None
        self._led, self._leaders = 0, list[Trial]()
        self._sizes: dict[str, np.ndarray] = {}
        self._baseline_loss = float("inf")
        self._lock, self._alone = threading.Lock(), threading.Lock()
        self._stopped = False

    def run(self) -> Found:
        """Search until the portfolio, the tuning or the budget is at its end."""
        self.progress.stage("train", self.spending.budget.seconds)
        baseline = self._baseline()
        self._baseline_loss = self.losses.turned(self._score_of_baseline(baseline))
        crossing = self._crossing()
        layout = crossing.layout
        self._try_all(self._next, crossing)
        for trial in self.trials:
            if trial.status == "waiting":
                trial.status, trial.reason = "skipped", "the budget has no room for it"
        if self.before is None:
            self._tune(crossing)
        if not self._done():
            score, members = self.losses.turned(self._baseline_loss), (Member(baseline, 1.0),)
            return Found(members, Calibration(), tuple(self.trials), baseline, layout.folds, True, None, score)
        choice = self._choice()
        if self.before is None and self._distil(choice, crossing):
            choice = self._choice()
        return self._conclude(choice, baseline, crossing)

    def _crossing(self) -> Crossing:
        """What is tried, and on which folds: the portfolio, or the members of an earlier result."""
        if self.before is not None:
            self.trials = self.before.trials()
            lanes = 1 if self.pace.by_work else MOST_LANES
            layout = Layout.of(self.before.folds, self.rules.threads, lanes)
        else:
            log = Logarithm.fitting(self.losses.truth) if self.task.output == "value" else None
            self.trials = plan(self.learners, self.problem, self.pace.seconds, log)
            layout = self.pace.layout(self.trials, len(self.data))
        return Crossing(self.data, self._numbers(layout.folds), layout, self.fits, self.pace, self.before)

    def _baseline(self) -> Fit:
        if BASELINE not in self.learners:
            raise Failure("the baseline learner is not installed", code="training-failed", fix="reinstall volant")
        learner = self.learners[BASELINE]
        configuration = Configuration(learner, learner.portfolio(self.problem)[0])
        name = f"{configuration.key[:12]}-final"
        return self.fits.load(name) or self.fits.make(name, configuration, self.data, RunContext(seed=self.rules.seed))

    def _score_of_baseline(self, baseline: Fit) -> float:
        """The baseline's score on the training rows, of which it knows no more than the frequencies."""
        return self.losses.score(baseline.predict(self.data, self.task.output, self.rules.threads))

    def _numbers(self, folds: int) -> np.ndarray:
        """The fold of each row; with one fold, fold 0 is held out and all other rows are in fold 1."""
        time = self.data.schema.of_role("time")
        if self.rules.by_time and time:
            return latest(self.data.batch([time[0].name])[time[0].name], 0.2)
        if self.before is not None:
            return self.before.fold_of(self.data.keys())
        strata = self.losses.truth if self.problem.classes else None
        if folds > 1:
            return fold_numbers(self.data.keys(), strata, folds, self.rules.seed)
        return np.asarray(np.minimum(fold_numbers(self.data.keys(), strata, 5, self.rules.seed), 1))

    def _done(self) -> list[Trial]:
        return [t for t in self.trials if t.status == "done"]

    def _leading(self) -> list[Trial]:
        """What would be combined now, for whose last fits time is kept; under a work budget there is no need."""
        done = [] if self.pace.by_work else self._done()
        if len(done) != self._led:
            self._led, self._leaders = len(done), leaders(done, self._loss_at, self.rules, self._size)
        return self._leaders

    def _size(self, trial: Trial) -> np.ndarray:
        """Bytes and milliseconds of a trial, measured once, in haste."""
        if trial.configuration.key not in self._sizes:
            self._sizes[trial.configuration.key] = size_of(trial, self.data.take(np.arange(1)))
        return self._sizes[trial.configuration.key]

    def _loss_at(self, predicted: np.ndarray, rows: np.ndarray) -> float:
        return self.losses.turned(self.losses.score_of(predicted, rows))

    def _next(self, crossing: Crossing) -> Trial | None:
        """The first configuration that the budget has room for, of the best learners and of those never tried.

        Where there is none, the first of them that can do a good part of its work in what time there is: its fits
        end early and may do well nevertheless. Then any other that there is room for.
        """
        waiting, best = [t for t in self.trials if t.status == "waiting"], self._leading()
        tried = {t.learner for t in self.trials if t.status != "waiting"}
        hopeful = set(list(dict.fromkeys(t.learner for t in sorted(self._done(), key=self.losses.of)))[:HOPEFUL])
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
        nothing = not self._done() and all(t.status != "running" for t in self.trials)
        enough = nothing and waiting and pace.room(units, LEAST_SECONDS)
        return min(waiting, key=pace.expected) if enough else None

    def _in_the_better_way(self, trial: Trial) -> Trial:
        """Later configurations learn a number in the way, plain or as a logarithm, that the first ones did best in."""
        done = self._done()
        logs = [t.configuration.logarithm for t in done]
        ways = {log is None for log in logs}
        if len(ways) == 2 and trial.configuration.logarithm is None:
            best = min(done, key=self.losses.of)
            trial.configuration = replace(trial.configuration, logarithm=best.configuration.logarithm)
        return trial

    def _try_all(self, following: Callable[[Crossing], Trial | None], crossing: Crossing) -> None:
        """Try what `following` gives until it gives nothing, on as many lanes as the layout has."""

        def lane() -> None:
            while not self._stopped:
                with self._lock:
                    trial = following(crossing)
                    if trial is None:
                        return
                    trial.status = "running"
                self._try(trial, crossing)

        lanes = crossing.layout.lanes
        if lanes == 1:
            return lane()
        with ThreadPoolExecutor(lanes) as pool:
            running = [pool.submit(lane) for _ in range(lanes)]
            try:
                for each in running:
                    each.result()
            finally:
                self._stopped = any(not each.done() for each in running)

    def _try(self, trial: Trial, crossing: Crossing) -> None:
        """Try a configuration, in the time it is expected to need and some more."""
        if self.machine.memory < self.pace.bytes(trial):
            trial.status, trial.reason = "skipped", "it would not fit into memory"
            return
        try:
            if getattr(trial.configuration.learner, "exclusive", False):
                with self._alone:
                    self._cross_validate(trial, crossing)
            else:
                self._cross_validate(trial, crossing)
        except (Exception, SystemExit) as cause:  # a learner may fail in its own way; the others go on
            if isinstance(cause, VolantError) and not cause.code.startswith("artifact-"):
                raise
            why = cause.what if isinstance(cause, VolantError) else place_of(cause)
            trial.status, trial.reason = "failed", why
            trial.predicted = None
            trial.fits.clear()

    def _cross_validate(self, trial: Trial, crossing: Crossing) -> None:
        with self._lock:
            limit = self.pace.limit(trial, crossing.layout, self._leading())
        for fit in crossing.fit(trial.configuration, limit):
            trial.fits.append(fit)
            with self._lock:
                self.spending.spend(1)
                self._advance(f"{trial.configuration.name}, fold {len(trial.fits)}")
            if self._far_behind(trial, crossing):
                trial.status, trial.reason = "beaten", "far behind the best on the first folds"
                return
        trial.predicted = crossing.predicted(trial.fits)
        trial.score = self.losses.score(trial.predicted)
        with self._lock:
            self.pace.note(trial, limit, crossing.layout)
            if not np.isfinite(trial.score):
                trial.status, trial.reason = "failed", "its predictions are not finite"
                return
            trial.status = "done"
            self._best = min((t for t in (self._best, trial) if t is not None), key=self.losses.of)
            self.progress.say(f"{trial.configuration.name}: {self.rules.metric} {trial.score:.4f}")

    def _far_behind(self, trial: Trial, crossing: Crossing) -> bool:
        """Whether a configuration lost so much on its first folds that its other ones are not worth their time."""
        best = self._best
        if best is None or best.predicted is None:
            return False
        least = FAR_BEHIND * abs(self._baseline_loss - self.losses.of(best))
        return crossing.beaten(trial.fits, best.predicted, lambda p: self.losses.turned(self.losses.score(p)), least)

    def _tune(self, crossing: Crossing) -> None:
        """Spend what is left on options that the portfolio does not hold."""
        tuning = Tuning.of(self.trials, self.problem, self.rules.seed, self.losses.of)
        if tuning is None:
            return

        def following(crossing: Crossing) -> Trial | None:
            trial = tuning.ask()
            if not self.pace.room(crossing.layout.folds + 1, self.pace.cost(trial, crossing.layout, self._leading())):
                return None
            self.trials.append(trial)
            return trial

        self._try_all(following, crossing)

    def _distil(self, choice: Choice, crossing: Crossing) -> bool:
        """Teach small students what the best ensemble knows, where it is too large; whether there were any."""
        if not self.rules.ensemble or choice.loss - choice.full_loss <= MUCH * abs(choice.full_loss):
            return False
        taught = self.data.numbers()[choice.rows]
        lesson = Lesson(taught, choice.mixed(choice.full), self.problem.classes)
        bases = iter(students(choice.done, self.losses.of, 0.8 * self.rules.most_bytes))
        before = len(self.trials)

        def following(crossing: Crossing) -> Trial | None:
            for base in bases:
                trial = Trial(replace(base.configuration, lesson=lesson))
                cost = self.pace.cost(trial, crossing.layout, self._leading())
                if self.pace.room(crossing.layout.folds + 1, cost):
                    self.trials.append(trial)
                    return trial
            return None

        self._try_all(following, crossing)
        return len(self.trials) > before

    def _note(self, note: str) -> None:
        with self._lock:
            self._advance(note)

    def _advance(self, note: str) -> None:
        budget = self.spending.budget
        done = self.spending.units if budget.seconds is None else budget.seconds - self.spending.remaining_seconds()
        self.progress.advance(float(done), note)

    def _choice(self) -> Choice:
        """Weights of the trials; under a work budget no clock is read."""
        done = self._done()
        rows = held_out(done)
        sample = None if self.pace.by_work else self.data.take(np.arange(1))
        return choose(done, rows, lambda p: self._loss_at(p, rows), self.rules, sample, self.pace.for_lasts())

    def _conclude(self, choice: Choice, baseline: Fit, crossing: Crossing) -> Found:
        for place, (trial, weight) in enumerate(zip(choice.done, choice.small, strict=True)):
            trial.weight, trial.bagged = weight, place in choice.bagged
        mixed = choice.mixed(choice.small)
        calibration = self._calibration(mixed, choice.rows)
        chosen = sorted((t for t in choice.done if t.weight), key=lambda t: -t.weight)
        return Found(
            members=tuple(self._members(chosen, crossing)),
            calibration=calibration,
            trials=tuple(self.trials),
            baseline=baseline,
            folds=crossing.layout.folds,
            only_baseline=False,
            score=self.losses.turned(choice.loss),
            baseline_score=self.losses.turned(self._baseline_loss),
            full_score=self.losses.turned(choice.full_loss),
            held_out=HeldOut(choice.rows, calibration.apply(mixed)),
        )

    def _calibration(self, mixed: np.ndarray, rows: np.ndarray) -> Calibration:
        if not self.problem.classes:
            return Calibration()
        return calibrate(mixed, self.losses.truth[rows], self.losses.weights[rows], self.rules.seed)

    def _members(self, chosen: Sequence[Trial], crossing: Crossing) -> list[Member]:
        """The last fits, on all rows, of the chosen; their fits on folds where the budget has no room for one."""
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
            remember(self.fits.folder.parent, chosen, names, self.data.keys(), crossing.numbers)
        found: list[Member] = []
        for trial in chosen:
            fit = lasts.get(trial.configuration.key)
            if fit is not None:
                self.spending.spend(1)
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
        return fit if fit is not None and self._is_finite(fit) else None

    def _is_finite(self, fit: Fit) -> bool:
        """Whether a fit that no held-out row has judged answers with numbers."""
        rows = self.data.take(np.arange(min(len(self.data), 1_000)))
        return bool(np.isfinite(fit.predict(rows, self.task.output, self.rules.threads)).all())
