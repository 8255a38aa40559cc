"""The search: configurations in a fixed order, out-of-fold predictions, a greedy ensemble, a last fit on all rows.

Under a work budget nothing here reads a clock, so the same data and seed give the same result. Under a
time budget a fit is begun only if it is expected to end in time, and is told how long it may take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from volant.search.calibrate import Calibration, calibrate
from volant.search.choice import Choice, choose, held_out, students
from volant.search.distil import Lesson
from volant.search.fits import Configuration, Fit, Fits
from volant.search.folds import fold_numbers, how_many, latest
from volant.search.logarithm import Logarithm
from volant.search.portfolio import BASELINE, plan
from volant.search.trials import Found, HeldOut, Member, Rules, Trial
from volant.search.tune import Tuning
from volant.search.views import WithWeights
from volant.search.weighing import Weighing

LEAST_SECONDS = 0.6
"""Seconds below which no fit is begun."""
AGAIN = 1.35
"""How much longer than a fit on a fold the last one, on all rows, is expected to take."""
SETTLED = 3
"""Last fits that time is kept for while configurations are tried."""
FORCED = 0.45
"""Share of the time left that a configuration may take which is expected to need more than there is."""
FAR_BEHIND = 0.3
"""Share of the way from the best configuration back to the baseline, from which on another is given up early."""
MUCH = 0.01
"""Relative loss by which a release may fall behind the best ensemble before students are taught."""
FIRSTS, FOLDED = 5, 0.9
"""Share of the time left that all folds of the first configurations may take; else one part is held out."""


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
    ) -> None:
        self.data: Rows = data if weighing is None else WithWeights(data, weighing.factors)
        self.problem, self.task = problem, task
        self.rules, self.spending, self.progress, self.machine = rules, spending, progress, machine
        self.tail = tail
        self.fits = Fits(folder, problem, task.output, () if weighing is None else weighing.correction)
        self.learners = learners
        self.truth = task.encode(data, problem)
        self.weights = data.weights()
        self._ratios: dict[str, float] = {}
        self._best: Trial | None = None
        self._baseline_loss = float("inf")

    def run(self) -> Found:
        """Search until the portfolio, the tuning or the budget is at its end."""
        self.progress.stage("train", self.spending.budget.seconds)
        baseline = self._baseline()
        self._baseline_loss = self._oriented(self._of(baseline))
        trials = plan(self.learners, self.problem, self._seconds, self._logarithm())
        folds = self._folds(trials)
        numbers = self._numbers(folds)
        while (trial := self._next(trials, folds)) is not None:
            self._try(trial, numbers, folds)
        self._tune(trials, numbers, folds)
        done = [t for t in trials if t.status == "done"]
        if not done:
            score, members = self._oriented(self._baseline_loss), (Member(baseline, 1.0),)
            return Found(members, Calibration(), tuple(trials), baseline, folds, True, None, score)
        choice = self._choice(done)
        if self._distil(choice, trials, numbers, folds):
            choice = self._choice([t for t in trials if t.status == "done"])
        return self._conclude(choice, trials, baseline, folds)

    def _baseline(self) -> Fit:
        if BASELINE not in self.learners:
            raise Failure("the baseline learner is not installed", code="training-failed", fix="reinstall volant")
        learner = self.learners[BASELINE]
        configuration = Configuration(learner, learner.portfolio(self.problem)[0])
        name = f"{configuration.key[:12]}-final"
        return self.fits.load(name) or self.fits.make(name, configuration, self.data, RunContext(seed=self.rules.seed))

    def _logarithm(self) -> Logarithm | None:
        return Logarithm.fitting(self.truth) if self.task.output == "value" else None

    def _folds(self, trials: Sequence[Trial]) -> int:
        if self.rules.by_time:
            return 1
        folds = how_many(len(self.data))
        if self.spending.budget.units is not None:
            units = self.spending.budget.units
            return min(folds, max(3, units // 3)) if units > 3 else 1
        firsts = [self._expected(t) for t in trials if t.status == "waiting"][:FIRSTS]
        return folds if sum(firsts) * folds < FOLDED * self._left() else 1

    def _next(self, trials: Sequence[Trial], folds: int) -> Trial | None:
        """The first configuration that the budget has room for.

        Where there is none, the first of a learner that was never tried is tried in what time there is: its fits
        end early and may do well nevertheless. What remains is skipped.
        """
        waiting = [t for t in trials if t.status == "waiting"]
        done = [t for t in trials if t.status == "done"]
        for trial in waiting:
            if self._room(folds + 1, self._cost(trial, folds) + self._reserve(done)):
                return self._in_the_better_way(trial, done)
        if not done and waiting and self._room(folds + 1, LEAST_SECONDS):
            return min(waiting, key=self._expected)
        tried = {t.learner for t in trials if t.status != "waiting"}
        new = next((t for t in waiting if t.learner not in tried), None)
        room = self._left() - self._reserve(done)
        if self.spending.budget.units is None and new is not None and FORCED * room > 5 * LEAST_SECONDS:
            return new
        for trial in waiting:
            trial.status, trial.reason = "skipped", "the budget has no room for it"
        return None

    def _in_the_better_way(self, trial: Trial, done: Sequence[Trial]) -> Trial:
        """Later configurations learn a number in the way, plain or as a logarithm, that the first ones did best in."""
        logs = [t.configuration.logarithm for t in done]
        ways = {log is None for log in logs}
        if len(ways) == 2 and trial.configuration.logarithm is None:
            best = min(done, key=self._loss_of)
            trial.configuration = replace(trial.configuration, logarithm=best.configuration.logarithm)
        return trial

    def _cost(self, trial: Trial, folds: int) -> float:
        """Seconds for all that a configuration needs: its folds, and the fit on all rows."""
        return max(self._expected(trial) * (folds + AGAIN), LEAST_SECONDS)

    def _reserve(self, done: Sequence[Trial]) -> float:
        """Seconds to keep for the last fits of what did best so far."""
        best = sorted(done, key=self._loss_of)[: SETTLED - 1]
        return AGAIN * sum(t.longest for t in best)

    def _left(self) -> float:
        return self.spending.remaining_seconds() - self.tail()

    def _expected(self, trial: Trial) -> float:
        """Seconds for one fit: the learner's estimate, corrected by how wrong it was so far."""
        learner = trial.configuration.learner
        return self._seconds(learner) * self._ratios.get(learner.name, 1.0)

    def _seconds(self, learner: Learner) -> float:
        """The learner's own estimate for one fit, with the threads that the product allows."""
        return learner.estimate(self.problem, replace(self.machine, cores=self.rules.threads)).seconds

    def _numbers(self, folds: int) -> np.ndarray:
        """The fold of each row; with one fold, fold 0 is held out and all other rows are in fold 1."""
        time = self.data.schema.of_role("time")
        if self.rules.by_time and time:
            return latest(self.data.batch([time[0].name])[time[0].name], 0.2)
        strata = self.truth if self.problem.classes else None
        if folds > 1:
            return fold_numbers(self.data.keys(), strata, folds, self.rules.seed)
        return np.asarray(np.minimum(fold_numbers(self.data.keys(), strata, 5, self.rules.seed), 1))

    def _try(self, trial: Trial, numbers: np.ndarray, folds: int) -> None:
        """Try a configuration, in the time it is expected to need and half as much again."""
        if self.machine.memory < self._bytes(trial):
            trial.status, trial.reason = "skipped", "it would not fit into memory"
            return
        room = self._left()
        wanted = 1.5 * self._expected(trial) * folds
        limit = min(max(wanted, FORCED * room), 0.8 * room)
        try:
            self._cross_validate(trial, numbers, folds, self.spending.remaining_seconds() - limit)
        except Exception as cause:  # a learner may fail in its own way; the others go on
            if isinstance(cause, VolantError) and not cause.code.startswith("artifact-"):
                raise
            why = cause.what if isinstance(cause, VolantError) else place_of(cause)
            trial.status, trial.reason = "failed", why
            trial.predicted = None
            trial.fits.clear()

    def _tune(self, trials: list[Trial], numbers: np.ndarray, folds: int) -> None:
        """Spend what is left on options that the portfolio does not hold."""
        tuning = Tuning.of(trials, self.problem, self.rules.seed, self._loss_of)
        while tuning is not None:
            trial = tuning.ask()
            done = [t for t in trials if t.status == "done"]
            if not self._room(folds + 1, self._cost(trial, folds) + self._reserve(done)):
                return
            self._try(trial, numbers, folds)
            trials.append(trial)
            tuning.tell(trial, self._loss_of(trial))

    def _distil(self, choice: Choice, trials: list[Trial], numbers: np.ndarray, folds: int) -> bool:
        """Teach small students what the best ensemble knows, where it is too large; whether there were any."""
        if not self.rules.ensemble or choice.loss - choice.full_loss <= MUCH * abs(choice.full_loss):
            return False
        before = len(trials)
        taught = self.data.numbers()[choice.rows]
        lesson = Lesson(taught, choice.mixed(choice.full), self.problem.classes)
        for base in students(choice.done, self._loss_of, 0.8 * self.rules.most_bytes):
            trial = Trial(replace(base.configuration, lesson=lesson))
            if self._room(folds + 1, self._cost(trial, folds) + self._reserve(choice.done)):
                self._try(trial, numbers, folds)
                trials.append(trial)
        return len(trials) > before

    def _room(self, units: int, seconds: float) -> bool:
        """Whether work of that size fits into the budget, with what comes after the search."""
        if self.spending.budget.units is not None:
            return self.spending.affords(units, 0.0)
        return seconds <= self._left()

    def _bytes(self, trial: Trial) -> int:
        return trial.configuration.learner.estimate(self.problem, self.machine).bytes

    def _cross_validate(self, trial: Trial, numbers: np.ndarray, folds: int, stop_at: float) -> None:
        """Fit each fold; `stop_at` is what `remaining_seconds` will be when the time for it is over."""
        crew = self._crew(trial.configuration.learner, folds)
        made = self._side_by_side if crew > 1 else self._one_by_one
        for fit in made(trial.configuration, numbers, folds, stop_at):
            trial.fits.append(fit)
            if self._far_behind(trial, numbers, folds):
                trial.status, trial.reason = "beaten", "far behind the best on the first folds"
                return
        first = trial.fits[0].predicted
        assert first is not None
        trial.predicted = np.full((len(self.data), *first.shape[1:]), np.nan)
        for fold, fit in enumerate(trial.fits):
            trial.predicted[numbers == fold] = fit.predicted
        self._note_speed(trial)
        trial.score = self._score(trial.predicted)
        if not np.isfinite(trial.score):
            trial.status, trial.reason = "failed", "its predictions are not finite"
            return
        trial.status = "done"
        if self._loss_of(trial) < (float("inf") if self._best is None else self._loss_of(self._best)):
            self._best = trial
        self.progress.say(f"{trial.configuration.name}: {self.rules.metric} {trial.score:.4f}")

    def _far_behind(self, trial: Trial, numbers: np.ndarray, folds: int) -> bool:
        """Whether a configuration lost so much on its first folds that its other ones are not worth their time."""
        if self._best is None or self._best.predicted is None or len(trial.fits) != (folds + 2) // 3 or folds == 1:
            return False
        rows = np.flatnonzero(numbers < len(trial.fits))
        mine = np.full_like(self._best.predicted, np.nan)
        for fold, fit in enumerate(trial.fits):
            mine[numbers == fold] = fit.predicted
        loss, best = self._loss(mine), self._loss(_only(self._best.predicted, rows))
        return loss - best > FAR_BEHIND * abs(self._baseline_loss - best)

    def _crew(self, learner: Learner, folds: int) -> int:
        """Folds that are fitted at the same time, with one thread each: quicker than one after another with many."""
        return 1 if getattr(learner, "exclusive", False) else min(folds, self.rules.threads)

    def _one_by_one(
        self, configuration: Configuration, numbers: np.ndarray, folds: int, stop_at: float
    ) -> Iterator[Fit]:
        for fold in range(folds):
            left = (self.spending.remaining_seconds() - stop_at) / (folds - fold)
            yield self._noted(self._fold(configuration, numbers, fold, self._context(left)), configuration, fold)

    def _side_by_side(
        self, configuration: Configuration, numbers: np.ndarray, folds: int, stop_at: float
    ) -> Iterator[Fit]:
        crew = self._crew(configuration.learner, folds)
        turns = -(-folds // crew)

        def fitted(fold: int) -> Fit:
            left = (self.spending.remaining_seconds() - stop_at) / (turns - fold // crew)
            return self._fold(configuration, numbers, fold, replace(self._context(left), threads=1))

        with blas_threads(1), ThreadPoolExecutor(crew) as pool:
            for fold, fit in enumerate(pool.map(fitted, range(folds))):
                yield self._noted(fit, configuration, fold)

    def _note_speed(self, trial: Trial) -> None:
        """How long a fold takes, counted so that all of them together take their number times as long."""
        learner, folds = trial.configuration.learner, max(len(trial.fits), 1)
        crew = self._crew(learner, folds)
        share = 1.0 if crew == 1 else -(-folds // crew) / folds
        self._ratios[learner.name] = share * trial.seconds / folds / max(self._seconds(learner), 1e-3)

    def _fold(self, configuration: Configuration, numbers: np.ndarray, fold: int, context: RunContext) -> Fit:
        rows, out = np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)
        name = f"{configuration.key[:12]}-{len(rows)}-{fold}"
        made = self.fits.load(name)
        if made is not None:
            return made
        context = replace(context, validation=self.data.take(out))
        return self.fits.make(name, configuration, self.data.take(rows), context)

    def _noted(self, fit: Fit, configuration: Configuration, fold: int) -> Fit:
        self.spending.spend(1)
        self._advance(f"{configuration.name}, fold {fold + 1}")
        return fit

    def _context(self, seconds: float) -> RunContext:
        by_work = self.spending.budget.units is not None
        return RunContext(
            seed=self.rules.seed,
            seconds=float("inf") if by_work else max(seconds, 0.2),
            threads=self.rules.threads,
            spending=self.spending,
        )

    def _advance(self, note: str) -> None:
        budget = self.spending.budget
        done = self.spending.units if budget.seconds is None else budget.seconds - self.spending.remaining_seconds()
        self.progress.advance(float(done), note)

    def _score(self, predicted: np.ndarray) -> float:
        """The decisive metric of predictions (n, …) for the training rows, NaN where there are none."""
        rows = np.flatnonzero(~np.isnan(predicted.reshape(len(predicted), -1)).any(axis=1))
        return self._score_of(predicted[rows], rows) if len(rows) else float("nan")

    def _score_of(self, predicted: np.ndarray, rows: np.ndarray) -> float:
        """The decisive metric of predictions for the rows at these places."""
        units = self.task.units(self.truth[rows], {self.task.output: predicted}, self.problem)
        return float(self.task.metrics[self.rules.metric].of(units, self.weights[rows][None, :])[0])

    def _loss(self, predicted: np.ndarray) -> float:
        return self._oriented(self._score(predicted))

    def _oriented(self, score: float) -> float:
        return -score if self.task.metrics[self.rules.metric].greater_is_better else score

    def _loss_of(self, trial: Trial) -> float:
        return float("inf") if trial.status != "done" or trial.score is None else self._oriented(trial.score)

    def _conclude(self, choice: Choice, trials: Sequence[Trial], baseline: Fit, folds: int) -> Found:
        for trial, weight in zip(choice.done, choice.small, strict=True):
            trial.weight = weight
        mixed = choice.mixed(choice.small)
        calibration = self._calibration(mixed, choice.rows)
        return Found(
            members=tuple(self._members(sorted((t for t in choice.done if t.weight), key=lambda t: -t.weight))),
            calibration=calibration,
            trials=tuple(trials),
            baseline=baseline,
            folds=folds,
            only_baseline=False,
            score=self._oriented(choice.loss),
            baseline_score=self._oriented(self._baseline_loss),
            held_out=HeldOut(choice.rows, calibration.apply(mixed)),
        )

    def _choice(self, done: Sequence[Trial]) -> Choice:
        """Weights of the trials; under a work budget no clock is read."""
        rows = held_out(done)
        sample = self.data.take(np.arange(1)) if self.spending.budget.units is None else None
        return choose(done, rows, lambda predicted: self._oriented(self._score_of(predicted, rows)), self.rules, sample)

    def _of(self, baseline: Fit) -> float:
        """The baseline's score on the training rows, of which it knows no more than the frequencies."""
        return self._score(baseline.predict(self.data, self.task.output, self.rules.threads))

    def _calibration(self, mixed: np.ndarray, rows: np.ndarray) -> Calibration:
        if not self.problem.classes:
            return Calibration()
        return calibrate(mixed, self.truth[rows], self.weights[rows], self.rules.seed)

    def _members(self, chosen: Sequence[Trial]) -> list[Member]:
        """The last fits, on all rows, of the chosen; a configuration's folds where the budget has no room for one."""
        crew = min(len(chosen), self.rules.threads)
        alone = crew == 1 or any(getattr(t.configuration.learner, "exclusive", False) for t in chosen)
        found: list[Member] = []
        if alone:
            lasts = [self._last(trial, self.rules.threads, trial.longest) for trial in chosen]
        else:
            expected = sum(t.longest for t in chosen) / crew
            with blas_threads(1), ThreadPoolExecutor(crew) as pool:
                lasts = list(pool.map(lambda trial: self._last(trial, 1, max(expected, trial.longest)), chosen))
        for trial, fit in zip(chosen, lasts, strict=True):
            if fit is None:
                found.extend(Member(f, trial.weight / len(trial.fits)) for f in trial.fits)
            else:
                self.spending.spend(1)
                found.append(Member(fit, trial.weight))
        return found

    def _last(self, trial: Trial, threads: int, expected: float) -> Fit | None:
        """The last fit of a configuration, if it is expected to end in time and answers with numbers."""
        settled = trial.configuration.settled([f.facts for f in trial.fits])
        name = f"{settled.key[:12]}-final"
        fit = self.fits.load(name)
        if fit is None and self._room(1, expected * AGAIN):
            fit = self.fits.make(name, settled, self.data, replace(self._context(self._left()), threads=threads))
        return fit if fit is not None and self._is_finite(fit) else None

    def _is_finite(self, fit: Fit) -> bool:
        """Whether a fit that no held-out row has judged answers with numbers."""
        rows = self.data.take(np.arange(min(len(self.data), 1_000)))
        return bool(np.isfinite(fit.predict(rows, self.task.output, self.rules.threads)).all())


def _only(predicted: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Predictions for some rows, NaN for all others."""
    out = np.full_like(predicted, np.nan)
    out[rows] = predicted[rows]
    return out
