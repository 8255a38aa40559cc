"""Doubles that fail on purpose, at rates that a test chooses."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from volant.core.clock import Machine
from volant.core.protocols import Learner, Model, Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Step, Support


@dataclass(frozen=True)
class Faults:
    """How often each thing goes wrong, in [0, 1], and how many seconds a fit wastes.

    `fit_fails` and `export_fails` raise; `gives_nan` exports a model whose every output is NaN; `dies`
    kills the process in the middle of a fit; `overruns` pays no heed to the seconds that a fit was given.
    """

    fit_fails: float = 0.0
    export_fails: float = 0.0
    gives_nan: float = 0.0
    dies: float = 0.0
    sleeps: float = 0.0
    overruns: bool = False


@dataclass(frozen=True)
class FlakyModel:
    """A model that may fail when it is exported."""

    inner: Model
    problem: Problem
    fails: bool
    nan: bool

    def export(self, folder: Path) -> Pipeline:
        if self.fails:
            raise OSError("the double was told to fail when it is exported")
        return nothing_but_nan(self.problem) if self.nan else self.inner.export(folder)

    def facts(self) -> dict[str, Any]:
        return self.inner.facts()


@dataclass(frozen=True)
class Flaky:
    """A learner that does what another one does, except when it fails.

    Whether it fails follows from the seed and the rows, so that a test repeats.

    >>> from volant.learners.tabular.prior import Prior
    >>> Flaky(Prior(), Faults(fit_fails=0.5)).name
    'flaky'
    """

    inner: Learner
    faults: Faults = field(default_factory=Faults)
    name: str = "flaky"
    version: int = 1
    summary: str = "a double that fails at given rates"

    @property
    def options(self) -> type[Any]:
        return self.inner.options

    def supports(self, problem: Problem) -> Support:
        return self.inner.supports(problem)

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        return self.inner.estimate(problem, machine)

    def portfolio(self, problem: Problem) -> Sequence[Any]:
        return self.inner.portfolio(problem)

    def settle(self, options: Any, facts: Sequence[Mapping[str, Any]]) -> Any:
        return self.inner.settle(options, facts)

    def fit(self, data: Rows, problem: Problem, options: Any, context: RunContext) -> FlakyModel:
        chance = random.Random(f"{context.seed} {data.digest} {len(data)}")
        time.sleep(self.faults.sleeps if self.faults.overruns else min(self.faults.sleeps, context.seconds))
        if chance.random() < self.faults.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        if chance.random() < self.faults.fit_fails:
            raise RuntimeError("the double was told to fail when it is fitted")
        model = self.inner.fit(data, problem, options, context)
        fails, nan = chance.random() < self.faults.export_fails, chance.random() < self.faults.gives_nan
        return FlakyModel(model, problem, fails, nan)


def nothing_but_nan(problem: Problem) -> Pipeline:
    """A pipeline of sound steps whose outputs are NaN."""
    first = problem.inputs[0].name
    nothing = Step("encode", (first,), "nothing", {"vocabulary": [], "other": None})
    options = problem.classes or problem.labels
    if not options:
        return Pipeline((nothing, Step("first", ("nothing",), "value")), {"value": "value"})
    margins = Step("stack", ("nothing",) * len(options), "margins")
    op = "softmax" if problem.classes else "sigmoid"
    return Pipeline((nothing, margins, Step(op, ("margins",), "probability")), {"probability": "probability"})
