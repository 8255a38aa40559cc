"""The search: configurations in a fixed order, out-of-fold predictions, a greedy ensemble, a last fit on all rows.

Under a work budget nothing here reads a clock, so the same data and seed give the same result. Under a
time budget a fit is begun only if it is expected to end in time, and is told how long it may take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from volant.core.budget import Spending
from volant.core.clock import Machine
from volant.core.progress import Progress
from volant.core.protocols import Learner, Rows, RunContext, Task
from volant.core.records import Problem
from volant.errors import Failure, VolantError, place_of
from volant.search.calibrate import Calibration, calibrate
from volant.search.ensemble import greedy_weights
from volant.search.fits import Configuration, Fit, Fits
from volant.search.folds import fold_numbers, how_many, latest
from volant.search.logarithm import Logarithm
from volant.search.portfolio import BASELINE, plan
from volant.search.trials import Found, HeldOut, Member, Rules, Trial
from volant.search.tune import Tuning
from volant.search.weighing import WeighedRows, Weighing

LEAST_SECONDS = 0.6
"""Seconds below which no fit is begun."""
AGAIN = 1.35
"""How much longer than a fit on a fold the last one, on all rows, is expected to take."""
SETTLED = 3
"""Last fits that time is kept for while configurations are tried."""
FORCED = 0.45
"""Share of the time left that a configuration may take which is expected to need more than there is."""
FOLDED = 0.35
"""Share of the budget that the folds of the first configuration may take; else one part is held out."""


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
        self.data: Rows = data if weighing is None else WeighedRows(data, weighing.factors)
        self.problem, self.task = problem, task
        self.rules, self.spending, self.progress, self.machine = rules, spending, progress, machine
        self.tail = tail
        self.fits = Fits(folder, problem, task.output, () if weighing is None else weighing.correction)
        self.learners = learners
        self.truth = task.encode(data, problem)
        self.weights = data.weights()
        self._ratios: dict[str, float] = {}

    def run(self) -> Found:
        """Search until the portfolio, the tuning or the budget is at its end."""
        self.progress.stage("train", self.spending.budget.seconds)
        baseline = self._baseline()
        trials = plan(self.learners, self.problem, self._seconds, self._logarithm())
        folds = self._folds(trials)
        numbers = self._numbers(folds)
        while (trial := self._next(trials, folds)) is not None:
            self._try(trial, numbers, folds)
        self._tune(trials, numbers, folds)
        done = [t for t in trials if t.status == "done"]
        if not done:
            found = (Member(baseline, 1.0),)
            return Found(found, Calibration(), tuple(trials), baseline, folds, True, None, self._of(baseline))
        return self._conclude(trials, done, baseline, folds)

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
            return folds if self.spending.budget.units > folds else 1
        first = next((t for t in trials if t.status == "waiting"), None)
        return folds if first is None or self._expected(first) * folds < FOLDED * self._left() else 1

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

    def _room(self, units: int, seconds: float) -> bool:
        """Whether work of that size fits into the budget, with what comes after the search."""
        if self.spending.budget.units is not None:
            return self.spending.affords(units, 0.0)
        return seconds <= self._left()

    def _bytes(self, trial: Trial) -> int:
        return trial.configuration.learner.estimate(self.problem, self.machine).bytes

    def _cross_validate(self, trial: Trial, numbers: np.ndarray, folds: int, stop_at: float) -> None:
        """Fit each fold; `stop_at` is what `remaining_seconds` will be when the time for it is over."""
        parts = []
        for fold in range(folds):
            left = (self.spending.remaining_seconds() - stop_at) / (folds - fold)
            out = np.flatnonzero(numbers == fold)
            fit = self._fold(trial.configuration, np.flatnonzero(numbers != fold), out, fold, max(left, 0.2))
            trial.fits.append(fit)
            assert fit.predicted is not None
            parts.append((out, fit.predicted))
        shape = (len(self.data), *parts[0][1].shape[1:])
        trial.predicted = np.full(shape, np.nan)
        for out, predicted in parts:
            trial.predicted[out] = predicted
        self._note_speed(trial)
        trial.score = self._score(trial.predicted)
        if not np.isfinite(trial.score):
            trial.status, trial.reason = "failed", "its predictions are not finite"
            return
        trial.status = "done"
        self.progress.say(f"{trial.configuration.name}: {self.rules.metric} {trial.score:.4f}")

    def _note_speed(self, trial: Trial) -> None:
        learner = trial.configuration.learner
        per_fit = trial.seconds / max(len(trial.fits), 1)
        self._ratios[learner.name] = per_fit / max(self._seconds(learner), 1e-3)

    def _fold(self, configuration: Configuration, rows: np.ndarray, out: np.ndarray, fold: int, seconds: float) -> Fit:
        name = f"{configuration.key[:12]}-{len(rows)}-{fold}"
        fit = self.fits.load(name)
        if fit is None:
            context = self._context(seconds, self.data.take(out))
            fit = self.fits.make(name, configuration, self.data.take(rows), context)
        self.spending.spend(1)
        self._advance(f"{configuration.name}, fold {fold + 1}")
        return fit

    def _context(self, seconds: float, validation: Rows | None) -> RunContext:
        by_work = self.spending.budget.units is not None
        return RunContext(
            seed=self.rules.seed,
            validation=validation,
            seconds=float("inf") if by_work else seconds,
            threads=self.rules.threads,
            spending=self.spending,
        )

    def _advance(self, note: str) -> None:
        budget = self.spending.budget
        done = self.spending.units if budget.seconds is None else budget.seconds - self.spending.remaining_seconds()
        self.progress.advance(float(done), note)

    def _score(self, predicted: np.ndarray) -> float:
        """The decisive metric of out-of-fold predictions."""
        rows = np.flatnonzero(~np.isnan(predicted.reshape(len(predicted), -1)).any(axis=1))
        if not len(rows):
            return float("nan")
        units = self.task.units(self.truth[rows], {self.task.output: predicted[rows]}, self.problem)
        metric = self.task.metrics[self.rules.metric]
        return float(metric.of(units, self.weights[rows][None, :])[0])

    def _loss(self, predicted: np.ndarray) -> float:
        return self._oriented(self._score(predicted))

    def _oriented(self, score: float) -> float:
        return -score if self.task.metrics[self.rules.metric].greater_is_better else score

    def _loss_of(self, trial: Trial) -> float:
        return float("inf") if trial.status != "done" or trial.score is None else self._oriented(trial.score)

    def _conclude(self, trials: list[Trial], done: list[Trial], baseline: Fit, folds: int) -> Found:
        weights, full = self._weights(done)
        for trial, weight in zip(done, weights, strict=True):
            trial.weight = weight
        chosen = sorted((t for t in done if t.weight), key=lambda t: -t.weight)
        mixed = np.sum([t.weight * t.predicted for t in chosen if t.predicted is not None], axis=0)
        members = [m for t in chosen for m in self._members(t, folds)]
        calibration = self._calibration(mixed)
        return Found(
            tuple(members),
            calibration,
            tuple(trials),
            baseline,
            folds,
            False,
            self._score(mixed),
            self._of(baseline),
            _held_out(mixed, calibration),
            full,
        )

    def _weights(self, done: Sequence[Trial]) -> tuple[list[float], float]:
        """Weights of the trials within what a release may weigh, and the score of the best ensemble regardless.

        Predictions are compared on the rows that were held out alone.
        """
        held = [t.predicted for t in done if t.predicted is not None]
        rows = np.flatnonzero(~np.isnan(held[0].reshape(len(held[0]), -1)).any(axis=1))
        truth, weights = self.truth[rows], self.weights[rows][None, :]
        arrays = [predicted[rows] for predicted in held]
        metric = self.task.metrics[self.rules.metric]

        def loss(predicted: np.ndarray) -> float:
            units = self.task.units(truth, {self.task.output: predicted}, self.problem)
            return self._oriented(float(metric.of(units, weights)[0]))

        def mixed(found: Sequence[float]) -> np.ndarray:
            return np.asarray(sum(w * p for w, p in zip(found, arrays, strict=True) if w))

        sizes = [float(t.bytes) for t in done]
        if not self.rules.ensemble:
            able = [i for i, size in enumerate(sizes) if size <= self.rules.most_bytes] or [int(np.argmin(sizes))]
            best = min(able, key=lambda i: loss(arrays[i]))
            return [float(i == best) for i in range(len(arrays))], self._oriented(min(map(loss, arrays)))
        free = greedy_weights(arrays, loss)
        small = greedy_weights(arrays, loss, sizes=sizes, room=0.9 * self.rules.most_bytes)
        return small, self._oriented(loss(mixed(free)))

    def _of(self, baseline: Fit) -> float:
        """The baseline's score on the training rows, of which it knows no more than the frequencies."""
        return self._score(baseline.predict(self.data, self.task.output, self.rules.threads))

    def _calibration(self, mixed: np.ndarray) -> Calibration:
        if not self.problem.classes:
            return Calibration()
        rows = np.flatnonzero(~np.isnan(mixed).any(axis=1))
        return calibrate(mixed[rows], self.truth[rows], self.weights[rows], self.rules.seed)

    def _members(self, trial: Trial, folds: int) -> list[Member]:
        """The last fit of a configuration on all rows, or its folds' fits where the budget has no room for it."""
        settled = trial.configuration.settled([f.facts for f in trial.fits])
        name = f"{settled.key[:12]}-final"
        fit = self.fits.load(name)
        if fit is None and self._room(1, trial.longest * AGAIN):
            fit = self.fits.make(name, settled, self.data, self._context(max(self._left(), 0.2), None))
        if fit is not None and self._is_finite(fit):
            self.spending.spend(1)
            trial.final = fit
            self._advance(f"{trial.configuration.name}, all rows")
            return [Member(fit, trial.weight)]
        return [Member(f, trial.weight / len(trial.fits)) for f in trial.fits]

    def _is_finite(self, fit: Fit) -> bool:
        """Whether a fit that no held-out row has judged answers with numbers."""
        rows = self.data.take(np.arange(min(len(self.data), 1_000)))
        return bool(np.isfinite(fit.predict(rows, self.task.output, self.rules.threads)).all())


def _held_out(mixed: np.ndarray, calibration: Calibration) -> HeldOut:
    """The rows of out-of-fold predictions that have one, calibrated."""
    rows = np.flatnonzero(~np.isnan(mixed.reshape(len(mixed), -1)).any(axis=1))
    return HeldOut(rows, calibration.apply(mixed[rows]))
