"""The search: configurations in a fixed order, out-of-fold predictions, a greedy ensemble, a last fit on all rows.

Under a work budget nothing here reads a clock, so the same data and seed give the same result. Under a
time budget a fit is begun only if it is expected to end in time, and is told how long it may take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from volant.core.budget import Spending
from volant.core.clock import Machine
from volant.core.progress import Progress
from volant.core.protocols import Learner, Rows, RunContext, Task
from volant.core.records import Problem
from volant.errors import Failure, VolantError, place_of
from volant.runtime.steps import warmed
from volant.search.ensemble import best_temperature, greedy_weights
from volant.search.fits import Configuration, Fit, Fits
from volant.search.folds import fold_numbers, how_many, latest
from volant.search.weighing import WeighedRows, Weighing

BASELINE = "prior"
LEAST_SECONDS = 0.6
"""Seconds below which no fit is begun."""

FIRST_SHARE = 0.55
"""Share of the time left that first configurations may take together, so that last fits remain possible."""


@dataclass
class Trial:
    """One configuration's way through the search."""

    configuration: Configuration
    fits: list[Fit] = field(default_factory=list)
    predicted: np.ndarray | None = None
    score: float | None = None
    status: str = "waiting"
    reason: str = ""
    weight: float = 0.0
    final: Fit | None = None

    @property
    def seconds(self) -> float:
        return sum(f.seconds for f in self.fits)


@dataclass(frozen=True)
class Member:
    """A pipeline of the result and its weight."""

    fit: Fit
    weight: float


@dataclass(frozen=True)
class HeldOut:
    """What the result says about training rows that it was not fitted on, out of fold and calibrated.

    `positions` (n,) are those rows among the training rows; `predicted` (n, …) is the task's output for them.
    """

    positions: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Found:
    """What a search found. `members` are averaged; `temperature` calibrates them; `baseline` stands beside.

    `held_out` is None where only the baseline was trained.
    """

    members: tuple[Member, ...]
    temperature: float
    trials: tuple[Trial, ...]
    baseline: Fit
    folds: int
    only_baseline: bool
    score: float | None
    baseline_score: float
    held_out: HeldOut | None = None


@dataclass(frozen=True)
class Rules:
    """What the product file says about training."""

    seed: int = 0
    threads: int = 2
    ensemble: bool = True
    metric: str = ""
    by_time: bool = False


class Search:
    """One run over the training rows.

    Args:
        data: the training rows.
        problem: what is learned.
        task: how it is judged.
        learners: by name; those that do not support the problem are listed with the reason.
        rules: seed, threads, metric.
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
        """Search until the portfolio or the budget is at its end."""
        self.progress.stage("train", self.spending.budget.seconds)
        baseline = self._baseline()
        trials = self._plan()
        folds = self._folds(trials)
        numbers = self._numbers(folds)
        while (trial := self._next(trials)) is not None:
            untried = self._untried(trials)
            self._try(trial, numbers, folds, len(untried) if trial.configuration.learner.name in untried else 0)
        done = [t for t in trials if t.status == "done"]
        if not done:
            return Found((Member(baseline, 1.0),), 1.0, tuple(trials), baseline, folds, True, None, self._of(baseline))
        return self._conclude(trials, done, baseline, numbers, folds)

    def _baseline(self) -> Fit:
        if BASELINE not in self.learners:
            raise Failure("the baseline learner is not installed", code="training-failed", fix="reinstall volant")
        learner = self.learners[BASELINE]
        configuration = Configuration(learner, learner.portfolio(self.problem)[0])
        name = f"{configuration.key[:12]}-final"
        return self.fits.load(name) or self.fits.make(name, configuration, self.data, RunContext(seed=self.rules.seed))

    def _plan(self) -> list[Trial]:
        """The first configuration of each learner, the quickest first, then the second of each, and so on."""
        columns: list[list[Trial]] = []
        others = [learner for name, learner in self.learners.items() if name != BASELINE]
        for learner in sorted(others, key=lambda one: (self._seconds(one), one.name)):
            support = learner.supports(self.problem)
            listed = [Trial(Configuration(learner, o)) for o in learner.portfolio(self.problem)]
            if not support:
                listed = [replace(listed[0], status="unsupported", reason=support.reason)] if listed else []
            columns.append(listed)
        longest = max((len(c) for c in columns), default=0)
        return [column[i] for i in range(longest) for column in columns if i < len(column)]

    def _next(self, trials: Sequence[Trial]) -> Trial | None:
        """First one configuration of each learner, then those of the learner that does best so far."""
        waiting = [t for t in trials if t.status == "waiting"]
        losses: dict[str, float] = {}
        for trial in trials:
            name = trial.configuration.learner.name
            if trial.status != "waiting":
                loss = float("inf") if trial.predicted is None else self._loss(trial.predicted)
                losses[name] = min(loss, losses.get(name, float("inf")))
        untried = self._untried(trials)
        if untried:
            return next(t for t in waiting if t.configuration.learner.name in untried)
        return min(waiting, key=lambda t: losses[t.configuration.learner.name], default=None)

    def _untried(self, trials: Sequence[Trial]) -> set[str]:
        """The learners none of whose configurations was tried."""
        tried = {t.configuration.learner.name for t in trials if t.status != "waiting"}
        return {t.configuration.learner.name for t in trials} - tried

    def _folds(self, trials: Sequence[Trial]) -> int:
        if self.rules.by_time:
            return 1
        folds = how_many(len(self.data))
        if self.spending.budget.units is not None:
            return folds if self.spending.budget.units > folds else 1
        firsts = {t.configuration.learner.name: t for t in reversed(trials) if t.status == "waiting"}
        longest = max((self._expected(t) for t in firsts.values()), default=0.0)
        return folds if longest * folds < 0.3 * self._left() else 1

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

    def _try(self, trial: Trial, numbers: np.ndarray, folds: int, untried: int) -> None:
        """Try a configuration; `untried` counts the learners that still wait for their first, this one included.

        A learner's first configuration is tried in whatever time its share of the rest allows; later ones only
        if they and their last fit are expected to end in time.
        """
        if not self._room(folds + 1, LEAST_SECONDS if untried else self._expected(trial) * (folds + 1)):
            trial.status, trial.reason = "skipped", "the budget has no room for it"
            return
        if self.machine.memory < self._bytes(trial):
            trial.status, trial.reason = "skipped", "it would not fit into memory"
            return
        limit = self._left() * (FIRST_SHARE / untried if untried else 0.8)
        try:
            self._cross_validate(trial, numbers, folds, self.spending.remaining_seconds() - limit)
        except Exception as cause:  # a learner may fail in its own way; the others go on
            if isinstance(cause, VolantError) and not cause.code.startswith("artifact-"):
                raise
            why = cause.what if isinstance(cause, VolantError) else place_of(cause)
            trial.status, trial.reason = "failed", why
            trial.predicted = None
            trial.fits.clear()

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
        score = self._score(predicted)
        return -score if self.task.metrics[self.rules.metric].greater_is_better else score

    def _conclude(
        self, trials: list[Trial], done: list[Trial], baseline: Fit, numbers: np.ndarray, folds: int
    ) -> Found:
        arrays = [t.predicted for t in done if t.predicted is not None]
        if self.rules.ensemble and len(done) > 1:
            weights = greedy_weights(arrays, self._loss)
        else:
            best = int(np.argmin([self._loss(p) for p in arrays]))
            weights = [float(i == best) for i in range(len(arrays))]
        for trial, weight in zip(done, weights, strict=True):
            trial.weight = weight
        mixed = np.sum([w * p for w, p in zip(weights, arrays, strict=True) if w], axis=0)
        members = [m for t in sorted(done, key=lambda t: -t.weight) if t.weight for m in self._members(t, folds)]
        temperature = self._temperature(mixed)
        return Found(
            tuple(members),
            temperature,
            tuple(trials),
            baseline,
            folds,
            False,
            self._score(mixed),
            self._of(baseline),
            _held_out(mixed, temperature),
        )

    def _of(self, baseline: Fit) -> float:
        """The baseline's score on the training rows, of which it knows no more than the frequencies."""
        return self._score(baseline.predict(self.data, self.task.output, self.rules.threads))

    def _temperature(self, mixed: np.ndarray) -> float:
        if not self.problem.classes:
            return 1.0
        rows = np.flatnonzero(~np.isnan(mixed).any(axis=1))
        return best_temperature(mixed[rows], self.truth[rows], self.weights[rows])

    def _members(self, trial: Trial, folds: int) -> list[Member]:
        """The last fit of a configuration on all rows, or its folds' fits where the budget has no room for it."""
        learner = trial.configuration.learner
        options = learner.settle(trial.configuration.options, [f.facts for f in trial.fits])
        settled = Configuration(learner, options)
        name = f"{settled.key[:12]}-final"
        expected = max(f.seconds for f in trial.fits) * (1.3 if folds > 1 else 1.4)
        fit = self.fits.load(name)
        if fit is None and self._room(1, expected):
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


def _held_out(mixed: np.ndarray, temperature: float) -> HeldOut:
    """The rows of out-of-fold predictions that have one, calibrated."""
    rows = np.flatnonzero(~np.isnan(mixed.reshape(len(mixed), -1)).any(axis=1))
    predicted = mixed[rows]
    return HeldOut(rows, predicted if temperature == 1.0 else warmed(predicted, temperature))
