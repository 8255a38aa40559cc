"""Fits on disk: each finished fit is a folder, so that a run that was killed goes on where it stood.

Everything after a fit works on what it exported, through the runtime: there is no second representation.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.ids import digest
from volant.core.plugins import load
from volant.core.progress import Progress, Silent
from volant.core.protocols import Earlier, Learner, Model, Rows, RunContext, goes_on
from volant.core.records import Pipeline, Problem, Step
from volant.runtime.load import Runner
from volant.search.distil import Lesson
from volant.search.logarithm import Logarithm

LEARNED = "learned"
"""The folder within a fit's of what its learner keeps to go on from; it is never shipped."""


@dataclass(frozen=True)
class Configuration:
    """A learner with options, that learns the target or its logarithm, from the truth or from a teacher too.

    `name` is unique within a run.
    """

    learner: Learner
    options: Any
    logarithm: Logarithm | None = None
    lesson: Lesson | None = None

    @property
    def name(self) -> str:
        return f"{self.learner.name}-{self.key[:6]}"

    @property
    def key(self) -> str:
        log = [] if self.logarithm is None else [asdict(self.logarithm)]
        lesson = [] if self.lesson is None else [self.lesson.key]
        return digest([self.learner.name, self.learner.version, asdict(self.options), *log, *lesson])

    def record(self) -> dict[str, Any]:
        """The options, and in which way the target is learned where it is not as it is."""
        ways = {"target": "logarithm"} if self.logarithm else {}
        return {**asdict(self.options), **ways, **({"taught": True} if self.lesson else {})}

    def settled(self, facts: Sequence[Mapping[str, Any]]) -> Configuration:
        """The configuration of the last fit, given the facts of the fits on folds."""
        options = self.learner.settle(self.options, facts)
        if self.logarithm is None:
            return replace(self, options=options)
        factor = float(np.mean([f["log_factor"] for f in facts]))
        return replace(self, options=options, logarithm=replace(self.logarithm, factor=factor))


@dataclass(frozen=True)
class Fit:
    """A finished fit: its exported pipeline, and what it predicted for its validation rows.

    `per_row` is how many of its `seconds` it took to predict one of these, 0 where there were none.
    """

    folder: Path
    pipeline: Pipeline
    facts: Mapping[str, Any]
    seconds: float
    predicted: np.ndarray | None
    per_row: float = 0.0

    @property
    def bytes(self) -> int:
        """Bytes of what would be shipped: the pipeline and the files that it names."""
        named = {step.file for step in self.pipeline.steps if step.file}
        return (self.folder / "fit.json").stat().st_size + sum((self.folder / n).stat().st_size for n in named)

    def runner(self, threads: int) -> Runner:
        """The pipeline, compiled."""
        return Runner(self.pipeline, self.folder, threads)

    def inputs(self, data: Rows) -> list[str]:
        """The columns of these rows that the pipeline reads."""
        return _inputs(self.pipeline, data)

    def predict(self, data: Rows, output: str, threads: int) -> np.ndarray:
        """Predictions for rows, by the runtime."""
        return predict(self.pipeline, self.folder, data, output, threads)


def _forget(folder: Path | None) -> None:
    """Remove what a finished fit no longer needs; its curves stay."""
    if folder is not None and folder.is_dir():
        for path in folder.glob("*.safetensors"):
            path.unlink()
        shutil.rmtree(folder / "crew", ignore_errors=True)


def predict(pipeline: Pipeline, folder: Path, data: Rows, output: str, threads: int) -> np.ndarray:
    """One output of a pipeline for rows, a chunk at a time."""
    runner = Runner(pipeline, folder, threads)
    names = _inputs(pipeline, data)
    chunk = 50_000
    parts = [
        runner.predict(data.take(np.arange(i, min(i + chunk, len(data)))).batch(names))[output]
        for i in range(0, max(len(data), 1), chunk)
    ]
    return np.concatenate(parts)


def _inputs(pipeline: Pipeline, data: Rows) -> list[str]:
    return sorted({name for step in pipeline.steps for name in step.inputs} & set(data.schema.names))


class Fits:
    """The fits of one run, in `folder`.

    `correction` (C,) is what probabilities are multiplied with where rows counted in training by their class.
    `told` gives the progress of a fit by the name of its configuration. `keeps`: fits can be gone on from later.
    """

    def __init__(
        self,
        folder: Path,
        problem: Problem,
        output: str,
        correction: tuple[float, ...] = (),
        told: Callable[[str], Progress] = lambda name: Silent(),
        *,
        keeps: bool = False,
    ) -> None:
        self.folder, self.told, self.keeps = folder, told, keeps
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
        seconds, per_row = float(record["seconds"]), float(record.get("per_row", 0.0))
        return Fit(folder, Pipeline.of(record["pipeline"]), record["facts"], seconds, predicted, per_row)

    def make(
        self,
        name: str,
        configuration: Configuration,
        data: Rows,
        context: RunContext,
        earlier: Earlier | None = None,
    ) -> Fit:
        """Fit, export, predict the validation rows, and put the result in its place.

        What long fits keep while they go on lies in a folder beside those of the finished ones: `learning/`. With
        `earlier` the fit goes on from there; where its learner cannot, or there is nothing new, it stays what it was.
        """
        started = time.monotonic()
        own = self.folder.parent / "learning" / name
        context = replace(context, folder=own, progress=self.told(configuration.name))
        folder = self.folder / f".new-{uuid.uuid4().hex}"
        folder.mkdir()
        try:
            able = earlier is not None and goes_on(configuration.learner, earlier.way) and len(data)
            if earlier is None or able:
                pipeline, facts, predicted, per_row = self._fit(folder, configuration, data, context, earlier)
            else:
                pipeline, facts, predicted, per_row = self._carried(folder, earlier, context)
            if predicted is not None:
                np.save(folder / "predicted.npy", predicted, allow_pickle=False)
            record = {"pipeline": pipeline.record(), "facts": facts, "seconds": time.monotonic() - started}
            record["per_row"] = per_row
            (folder / "fit.json").write_text(json.dumps(record, ensure_ascii=False))
            folder.rename(self.folder / name)
            _forget(context.folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        made = self.load(name)
        assert made is not None
        return made

    def _carried(
        self, folder: Path, earlier: Earlier, context: RunContext
    ) -> tuple[Pipeline, dict[str, Any], np.ndarray | None, float]:
        """An earlier fit as it is, in a folder of its own."""
        before = earlier.folder.parent
        for step in earlier.pipeline.steps:
            if step.file is not None:
                shutil.copyfile(before / step.file, folder / step.file)
        if earlier.folder.is_dir():
            shutil.copytree(earlier.folder, folder / LEARNED)
        facts, valid = json.loads((before / "fit.json").read_bytes())["facts"], context.validation
        if valid is None:
            return earlier.pipeline, facts, None, 0.0
        return earlier.pipeline, facts, *self._predicted(earlier.pipeline, folder, valid, context)

    def _model(self, configuration: Configuration, data: Rows, context: RunContext, earlier: Earlier | None) -> Model:
        learner: Any = configuration.learner
        if earlier is None:
            made: Model = learner.fit(data, self.problem, configuration.options, context)
        else:
            made = learner.resume(earlier, data, self.problem, configuration.options, context)
        return made

    def _keep(self, folder: Path, learner: Any, model: Model) -> None:
        """Let a learner write down what another fit may go on from."""
        if self.keeps and getattr(learner, "ways", ()):
            (folder / LEARNED).mkdir()
            learner.keep(model, folder / LEARNED)

    def _fit(
        self,
        folder: Path,
        configuration: Configuration,
        data: Rows,
        context: RunContext,
        earlier: Earlier | None = None,
    ) -> tuple[Pipeline, dict[str, Any], np.ndarray | None, float]:
        """The exported pipeline of a fit, its facts, its predictions for the validation rows and what one took."""
        log, valid = configuration.logarithm, context.validation
        if configuration.lesson is not None:
            data = configuration.lesson.rows(data, self.problem.target)
        if log is not None:
            data = log.rows(data, self.problem.target)
            seen = None if valid is None else log.rows(valid, self.problem.target)
            context = replace(context, validation=seen)
        model = self._model(configuration, data, context, earlier)
        exported, facts = self._corrected(model.export(folder)), model.facts()
        self._keep(folder, configuration.learner, model)
        pipeline = exported if log is None else log.finish(exported, self.output)
        if valid is None:
            return pipeline, facts, None, 0.0
        predicted, per_row = self._predicted(pipeline, folder, valid, context)
        if log is not None:
            truth = load("tasks", self.problem.task).encode(valid, self.problem)
            log = replace(log, factor=log.right_factor(predicted, truth, valid.weights()))
            pipeline, facts = log.finish(exported, self.output), {**facts, "log_factor": log.factor}
            predicted = predict(pipeline, folder, valid, self.output, context.threads)
        return pipeline, facts, predicted, per_row

    def _predicted(
        self, pipeline: Pipeline, folder: Path, valid: Rows, context: RunContext
    ) -> tuple[np.ndarray, float]:
        """Predictions for the validation rows, and the seconds that each took."""
        started = time.monotonic()
        predicted = predict(pipeline, folder, valid, self.output, context.threads)
        return predicted, (time.monotonic() - started) / max(len(valid), 1)

    def _corrected(self, pipeline: Pipeline) -> Pipeline:
        if not self.correction:
            return pipeline
        step = Step("reweigh", (pipeline.outputs[self.output],), "true frequencies", {"factors": list(self.correction)})
        return replace(pipeline, steps=(*pipeline.steps, step), outputs={self.output: step.output})
