"""How good predictions for training rows are, by the decisive metric."""

from __future__ import annotations

import numpy as np

from volant.core.protocols import Rows, Task
from volant.core.records import Problem
from volant.search.trials import Trial


class Losses:
    """Scores of predictions for rows, and losses: scores turned so that less is better."""

    def __init__(self, task: Task, problem: Problem, metric: str, data: Rows) -> None:
        self.task, self.problem, self.metric = task, problem, metric
        self.truth, self.weights = task.encode(data, problem), data.weights()

    def score(self, predicted: np.ndarray) -> float:
        """The metric of predictions (n, …) for all rows, NaN for those that there are none for."""
        rows = np.flatnonzero(~np.isnan(predicted.reshape(len(predicted), -1)).any(axis=1))
        return self.score_of(predicted[rows], rows) if len(rows) else float("nan")

    def score_of(self, predicted: np.ndarray, rows: np.ndarray) -> float:
        """The metric of predictions for the rows at these places."""
        units = self.task.units(self.truth[rows], {self.task.output: predicted}, self.problem)
        return float(self.task.metrics[self.metric].of(units, self.weights[rows][None, :])[0])

    def turned(self, score: float) -> float:
        """A score as a loss, or a loss as a score."""
        return -score if self.task.metrics[self.metric].greater_is_better else score

    def of(self, trial: Trial) -> float:
        """The loss of a trial, infinite where it is not done."""
        return float("inf") if trial.status != "done" or trial.score is None else self.turned(trial.score)
