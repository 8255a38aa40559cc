"""MLflow: the looks of a training as metrics of a run, where the library is there and a tracking server is named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

VARIABLE = "MLFLOW_TRACKING_URI"


def wanted() -> bool:
    """Whether the user named a place for runs, and the library is installed."""
    return bool(os.environ.get(VARIABLE)) and find_spec("mlflow") is not None


class Tracked:
    """One run. What cannot be told to the server is left out: a training does not wait for it."""

    def __init__(self, name: str, facts: Mapping[str, Any]) -> None:
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        experiment = self._client.get_experiment_by_name("volant")
        place = experiment.experiment_id if experiment else self._client.create_experiment("volant")
        self._run = self._client.create_run(place, run_name=name).info.run_id
        for key, value in facts.items():
            self._client.log_param(self._run, key, value)

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """The metrics of one look."""
        for name, value in metrics.items():
            self._client.log_metric(self._run, name.replace(" ", "_"), float(value), step=step)

    def end(self) -> None:
        """The training is over."""
        self._client.set_terminated(self._run)
