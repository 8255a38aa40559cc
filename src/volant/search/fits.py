"""Fits on disk: each finished fit is a folder, so that a run that was killed goes on where it stood.

Everything after a fit works on what it exported, through the runtime: there is no second representation.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.ids import digest
from volant.core.protocols import Learner, Rows, RunContext
from volant.core.records import Pipeline, Problem, Step
from volant.runtime.load import Runner


@dataclass(frozen=True)
class Configuration:
    """A learner with options. `name` is unique within a run."""

    learner: Learner
    options: Any

    @property
    def name(self) -> str:
        return f"{self.learner.name}-{self.key[:6]}"

    @property
    def key(self) -> str:
        return digest([self.learner.name, self.learner.version, asdict(self.options)])


@dataclass(frozen=True)
class Fit:
    """A finished fit: its exported pipeline, and what it predicted for its validation rows."""

    folder: Path
    pipeline: Pipeline
    facts: Mapping[str, Any]
    seconds: float
    predicted: np.ndarray | None

    def predict(self, data: Rows, output: str, threads: int) -> np.ndarray:
        """Predictions for rows, by the runtime."""
        return predict(self.pipeline, self.folder, data, output, threads)


def predict(pipeline: Pipeline, folder: Path, data: Rows, output: str, threads: int) -> np.ndarray:
    """One output of a pipeline for rows, a chunk at a time."""
    runner = Runner(pipeline, folder, threads)
    names = sorted({name for step in pipeline.steps for name in step.inputs} & set(data.schema.names))
    chunk = 50_000
    parts = [
        runner.predict(data.take(np.arange(i, min(i + chunk, len(data)))).batch(names))[output]
        for i in range(0, max(len(data), 1), chunk)
    ]
    return np.concatenate(parts)


class Fits:
    """The fits of one run, in `folder`.

    `correction` (C,) is what probabilities are multiplied with where rows counted in training by their class.
    """

    def __init__(self, folder: Path, problem: Problem, output: str, correction: tuple[float, ...] = ()) -> None:
        self.folder = folder
        self.correction = correction
        self.problem = problem
        self.output = output
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(".new-*"):
            shutil.rmtree(stale, ignore_errors=True)

    def load(self, name: str) -> Fit | None:
        """A finished fit of that name, or None."""
        folder = self.folder / name
        if not (folder / "fit.json").is_file():
            return None
        record = json.loads((folder / "fit.json").read_bytes())
        path = folder / "predicted.npy"
        predicted = np.load(path, allow_pickle=False) if path.is_file() else None
        return Fit(folder, Pipeline.of(record["pipeline"]), record["facts"], float(record["seconds"]), predicted)

    def make(self, name: str, configuration: Configuration, data: Rows, context: RunContext) -> Fit:
        """Fit, export, predict the validation rows, and put the result in its place."""
        started = time.monotonic()
        folder = self.folder / f".new-{uuid.uuid4().hex}"
        folder.mkdir()
        try:
            model = configuration.learner.fit(data, self.problem, configuration.options, context)
            pipeline = self._corrected(model.export(folder))
            if context.validation is not None:
                predicted = predict(pipeline, folder, context.validation, self.output, context.threads)
                np.save(folder / "predicted.npy", predicted, allow_pickle=False)
            seconds = time.monotonic() - started
            record = {"pipeline": pipeline.record(), "facts": model.facts(), "seconds": seconds}
            (folder / "fit.json").write_text(json.dumps(record, ensure_ascii=False))
            folder.rename(self.folder / name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        made = self.load(name)
        assert made is not None
        return made

    def _corrected(self, pipeline: Pipeline) -> Pipeline:
        if not self.correction:
            return pipeline
        step = Step("reweigh", (pipeline.outputs[self.output],), "true frequencies", {"factors": list(self.correction)})
        return replace(pipeline, steps=(*pipeline.steps, step), outputs={self.output: step.output})
