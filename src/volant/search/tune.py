"""Tuning: what is left of the budget goes to options near those that did best, chosen by Optuna."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from volant.bind import optuna
from volant.core.plugins import missing
from volant.core.protocols import Range
from volant.core.records import Problem
from volant.search.fits import Configuration
from volant.search.trials import Trial

LEARNERS = 2
"""Learners that are tuned in turn: the best of those that name a space."""


@dataclass
class _Study:
    base: Configuration
    sampler: optuna.Sampler


class Tuning:
    """Asks for options of the best learners in turn, and learns from how those it asked for did."""

    def __init__(self, studies: Sequence[_Study], loss: Callable[[Trial], float]) -> None:
        self._studies, self._loss = list(studies), loss
        self._turn = 0
        self._asked: list[tuple[_Study, Any, Trial]] = []

    @staticmethod
    def of(trials: Sequence[Trial], problem: Problem, seed: int, loss: Callable[[Trial], float]) -> Tuning | None:
        """A tuning that begins at the best trials, or None where no learner names a space or Optuna is missing."""
        if missing("optuna", "tune"):
            return None
        studies: list[_Study] = []
        for trial in sorted((t for t in trials if t.status == "done"), key=loss):
            space = _space(trial, problem)
            if space and trial.learner not in {s.base.learner.name for s in studies}:
                studies.append(_Study(trial.configuration, optuna.Sampler(space, seed)))
        for study in studies:
            for trial in trials:
                if trial.status == "done" and trial.learner == study.base.learner.name:
                    study.sampler.learn(trial.configuration.options, loss(trial))
        return Tuning(studies[:LEARNERS], loss) if studies else None

    def ask(self) -> Trial:
        """The next configuration to try; `loss` is asked first how those that are tried by now did."""
        ended = [asked for asked in self._asked if asked[2].status not in ("waiting", "running")]
        for study, token, trial in ended:
            study.sampler.tell(token, self._loss(trial))
            self._asked.remove((study, token, trial))
        study = self._studies[self._turn % len(self._studies)]
        self._turn += 1
        token, values = study.sampler.ask()
        trial = Trial(replace(study.base, options=replace(study.base.options, **values)))
        self._asked.append((study, token, trial))
        return trial


def _space(trial: Trial, problem: Problem) -> dict[str, Range]:
    space = getattr(trial.configuration.learner, "space", None)
    return {} if space is None else dict(space(problem))
