"""The search: configurations in a fixed order, out-of-fold predictions, a greedy ensemble, a last fit on all rows.

Under a work budget nothing here reads a clock, so the same data and seed give the same result. Under a
time budget every fit is told how long it may take, and none is begun that could not do its work in that time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from volant.core.budget import Spending
from volant.core.clock import Machine
from volant.core.progress import Progress
from volant.core.protocols import Learner, Rows, RunContext, Task
from volant.core.records import Problem
from volant.errors import Failure, VolantError, place_of
from volant.search.before import Before
from volant.search.calibrate import Calibration, calibrate, calibrate_labels
from volant.search.choice import Choice, choose, held_out, students
from volant.search.crossing import Crossing
from volant.search.distil import Lesson
from volant.search.fits import Configuration, Fit, Fits
from volant.search.folds import fold_numbers, latest, strata_of
from volant.search.lasts import Lasts
from volant.search.logarithm import Logarithm
from volant.search.losses import Losses
from volant.search.pace import MOST_LANES, Layout, Pace
from volant.search.portfolio import BASELINE, plan
from volant.search.shards import of_one, sharding
from volant.search.standings import Standings
from volant.search.telling import Telling
from volant.search.trials import NO_MEMORY, Found, HeldOut, Member, Rules, Trial
from volant.search.tune import Tuning
from volant.search.views import WithWeights
from volant.search.weighing import Weighing

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
        outside: rows that the result predicts then.
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
        outside: int = 0,
        weighing: Weighing | None = None,
        before: Before | None = None,
    ) -> None:
        self.data: Rows = data if weighing is None else WithWeights(data, weighing.factors)
        self.problem, self.task = problem, task
        self.rules, self.spending, self.progress, self.machine = rules, spending, progress, machine
        self.pace = Pace(problem, machine, rules, spending, tail, outside)
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
        self.lasts = Lasts(self.data, task, self.fits, self.pace, rules, before)
        self.learners = learners
        self.losses = Losses(task, problem, rules.metric, data)
        self.standings = Standings(self.losses, self.pace, rules, data.take(np.arange(1)))
        self._lock, self._alone = threading.Lock(), threading.Lock()
        self._stopped = False

    def run(self) -> Found:
        """Search until the portfolio, the tuning or the budget is at its end."""
        self.progress.stage("train", self.spending.budget.seconds)
        baseline = self._baseline()
        self.standings.baseline_loss = self.losses.turned(self._score_of_baseline(baseline))
        crossing = self._crossing()
        layout = crossing.layout
        self._try_all(self.standings.next, crossing)
        for trial in self.standings.trials:
            if trial.status == "waiting":
                trial.status, trial.reason = "skipped", "the budget has no room for it"
        if self.before is None and not self.rules.shards:
            self._tune(crossing)
        if not self.standings.done():
            score, members = self.losses.turned(self.standings.baseline_loss), (Member(baseline, 1.0),)
            return Found(
                members, Calibration(), tuple(self.standings.trials), baseline, layout.folds, True, None, score
            )
        choice = self._choice()
        if self.before is None and not self.rules.shards and self._distil(choice, crossing):
            choice = self._choice()
        return self._conclude(choice, baseline, crossing)

    def _crossing(self) -> Crossing:
        """What is tried, and on which folds: the portfolio, or the members of an earlier result.

        On shards it is the portfolio as it stands, so that the same fits are asked for again.
        """
        if self.rules.shards:
            about = of_one(self.problem, self.rules.shards)
            self.standings.trials = plan(self.learners, about, self.pace.seconds, None)
            return sharding(self.data, self.problem, self.fits, self.pace)
        if self.before is not None:
            self.standings.trials = self.before.trials()
            lanes = 1 if self.pace.by_work else MOST_LANES
            layout = Layout.of(self.before.folds, self.rules.threads, lanes)
        else:
            log = Logarithm.fitting(self.losses.truth) if self.task.output == "value" else None
            self.standings.trials = plan(self.learners, self.problem, self.pace.seconds, log)
            layout = self.pace.layout(self.standings.trials, len(self.data))
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
            latest_apart = latest(self.data.batch([time[0].name])[time[0].name], 0.2)
            if not latest_apart.all():  # else all rows have the same time, which sets none apart
                return latest_apart
        if self.before is not None:
            return self.before.fold_of(self.data.keys())
        strata = strata_of(self.losses.truth, self.problem)
        if folds > 1:
            return fold_numbers(self.data.keys(), strata, folds, self.rules.seed)
        return np.asarray(np.minimum(fold_numbers(self.data.keys(), strata, 5, self.rules.seed), 1))

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
            trial.status, trial.reason = "skipped", NO_MEMORY
            return
        try:
            if not self.pace.wake(trial):
                trial.status, trial.reason = "skipped", "the budget has no room for it"
            elif getattr(trial.configuration.learner, "exclusive", False):
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
            limit = self.pace.limit(trial, crossing.layout, self.standings.leading())
        for fit in crossing.fit(trial.configuration, limit):
            trial.fits.append(fit)
            with self._lock:
                self.spending.spend(1)
                self._advance(f"{trial.configuration.name}, fold {len(trial.fits)}")
            if not self.rules.shards and self.standings.adds_nothing(trial, crossing):
                trial.status, trial.reason = "beaten", "the best are no better with it, on the first folds"
                return
        trial.predicted = crossing.predicted(trial.fits)
        trial.score = self.losses.score(trial.predicted)
        with self._lock:
            self.pace.note(trial, limit, crossing.layout)
            if not np.isfinite(trial.score):
                trial.status, trial.reason = "failed", "its predictions are not finite"
                return
            self.standings.note(trial)
            self.progress.say(f"{trial.configuration.name}: {self.rules.metric} {trial.score:.4f}")

    def _tune(self, crossing: Crossing) -> None:
        """Spend what is left on options that the portfolio does not hold."""
        tuning = Tuning.of(self.standings.trials, self.problem, self.rules.seed, self.losses.of)
        if tuning is None:
            return

        def following(crossing: Crossing) -> Trial | None:
            trial = tuning.ask()
            if not self.pace.room(
                crossing.layout.folds + 1, self.pace.cost(trial, crossing.layout, self.standings.leading())
            ):
                return None
            self.standings.trials.append(trial)
            return trial

        self._try_all(following, crossing)

    def _distil(self, choice: Choice, crossing: Crossing) -> bool:
        """Teach small students what the best ensemble knows, where it is too large; whether there were any."""
        if (
            not self.rules.ensemble
            or self.problem.labels
            or choice.loss - choice.full_loss <= MUCH * abs(choice.full_loss)
        ):
            return False
        taught = self.data.numbers()[choice.rows]
        lesson = Lesson(taught, choice.mixed(choice.full), self.problem.classes)
        bases = iter(students(choice.done, self.losses.of, 0.8 * self.rules.most_bytes))
        before = len(self.standings.trials)

        def following(crossing: Crossing) -> Trial | None:
            for base in bases:
                trial = Trial(replace(base.configuration, lesson=lesson))
                cost = self.pace.cost(trial, crossing.layout, self.standings.leading())
                if self.pace.room(crossing.layout.folds + 1, cost):
                    self.standings.trials.append(trial)
                    return trial
            return None

        self._try_all(following, crossing)
        return len(self.standings.trials) > before

    def _note(self, note: str) -> None:
        with self._lock:
            self._advance(note)

    def _advance(self, note: str) -> None:
        budget = self.spending.budget
        done = self.spending.units if budget.seconds is None else budget.seconds - self.spending.remaining_seconds()
        self.progress.advance(float(done), note)

    def _choice(self) -> Choice:
        """Weights of the trials; under a work budget no clock is read."""
        done = self.standings.done()
        rows = held_out(done)
        sample = None if self.pace.by_work else self.data.take(np.arange(1))
        return choose(done, rows, lambda p: self.standings.loss_at(p, rows), self.rules, sample, self.pace.for_lasts())

    def _conclude(self, choice: Choice, baseline: Fit, crossing: Crossing) -> Found:
        for place, (trial, weight) in enumerate(zip(choice.done, choice.small, strict=True)):
            trial.weight, trial.bagged = weight, place in choice.bagged or bool(self.rules.shards)
        mixed = choice.mixed(choice.small)
        calibration = self._calibration(mixed, choice.rows)
        chosen = sorted((t for t in choice.done if t.weight), key=lambda t: -t.weight)
        return Found(
            members=tuple(self.lasts.members(chosen, crossing.numbers, choice.spare)),
            calibration=calibration,
            trials=tuple(self.standings.trials),
            baseline=baseline,
            folds=crossing.layout.folds,
            only_baseline=False,
            score=self.losses.turned(choice.loss),
            baseline_score=self.losses.turned(self.standings.baseline_loss),
            full_score=self.losses.turned(choice.full_loss),
            held_out=HeldOut(choice.rows, calibration.apply(mixed)),
        )

    def _calibration(self, mixed: np.ndarray, rows: np.ndarray) -> Calibration:
        if self.problem.labels:
            return calibrate_labels(mixed, self.losses.truth[rows], self.losses.weights[rows], self.rules.seed)
        if not self.problem.classes:
            return Calibration()
        return calibrate(mixed, self.losses.truth[rows], self.losses.weights[rows], self.rules.seed)
