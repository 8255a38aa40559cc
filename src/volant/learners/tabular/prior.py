"""The baseline: the same answer for every row. Whatever does not beat it has learned nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.protocols import Rows, RunContext
from volant.core.records import Cost, Pipeline, Problem, Step, Support


@dataclass(frozen=True)
class PriorOptions:
    """The baseline has no options."""


@dataclass(frozen=True)
class PriorModel:
    """Frequencies of classes or labels, or the mean."""

    value: Any
    output: str
    column: str

    def export(self, folder: Path) -> Pipeline:
        step = Step("constant", (self.column,), self.output, {"value": self.value})
        return Pipeline((step,), {self.output: self.output})

    def facts(self) -> dict[str, Any]:
        return {}


class Prior:
    """Predicts the class frequencies or the mean of the training rows."""

    name = "prior"
    version = 1
    summary = "the baseline: class frequencies, or the mean"
    options = PriorOptions

    def supports(self, problem: Problem) -> Support:
        known = problem.task in ("classify", "regress", "tag")
        return Support(known, "" if known else f"it has no baseline for the task {problem.task}")

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        return Cost(seconds=0.01, bytes=16 * problem.rows, units=0)

    def portfolio(self, problem: Problem) -> Sequence[PriorOptions]:
        return (PriorOptions(),)

    def settle(self, options: PriorOptions, facts: Sequence[dict[str, Any]]) -> PriorOptions:
        return options

    def fit(self, data: Rows, problem: Problem, options: PriorOptions, context: RunContext) -> PriorModel:
        task = load("tasks", problem.task)
        target, weights = task.encode(data, problem), data.weights()
        column = problem.inputs[0].name
        if problem.labels:
            known = target >= 0
            carried = (weights[:, None] * (target == 1)).sum(axis=0)
            shares = (carried + 0.5) / ((weights[:, None] * known).sum(axis=0) + 1.0)
            return PriorModel(shares.tolist(), task.output, column)
        if problem.classes:
            counts = np.bincount(target, weights=weights, minlength=len(problem.classes)) + 1.0 / len(problem.classes)
            return PriorModel((counts / counts.sum()).tolist(), task.output, column)
        return PriorModel(float(np.average(target, weights=weights)), task.output, column)
