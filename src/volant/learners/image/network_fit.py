"""Fitting a network to pictures, alone or beside the columns of a table: what the learners for pictures share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volant.core.plugins import load
from volant.core.protocols import Earlier, Rows, RunContext
from volant.core.records import Pipeline, Problem, Step
from volant.learners.image.decoding import PIXELS, Decoder, decoder_for, has_others, pictures
from volant.learners.image.fitting import Fitting, Learned, learned_in
from volant.learners.image.taught import time_to_train, trained
from volant.learners.tabular.boosting import Aim, Hours
from volant.learners.tabular.features import Features, linear_features
from volant.neural.image.design import SMALL, Augmentation, augmentation
from volant.neural.image.symmetry import mirror_keeps

if TYPE_CHECKING:
    from volant.neural.image.rows import ImageRows

JUDGES = 2_048
"""Held-out rows that are looked at while a network trains."""
FEWEST = 8
"""Rows below which they are repeated, so that there is something to normalise."""


@dataclass(frozen=True)
class ImageModel:
    """A trained network as the ONNX model that is exported, and the steps that bring it pixels and columns."""

    decoder: Decoder
    beside: Features | None
    network: bytes
    aim: Aim
    training: Mapping[str, Any]
    learned: Learned

    def export(self, folder: Path) -> Pipeline:
        (folder / "network.onnx").write_bytes(self.network)
        steps: list[Step] = [self.decoder.step()]
        given: tuple[str, ...] = (PIXELS,)
        if self.beside is not None:
            steps += self.beside.steps
            given = (PIXELS, "matrix")
        steps.append(Step("onnx", given, "margin", {"output": "y"}, "network.onnx"))
        if self.aim.problem.classes or self.aim.problem.labels:
            op = "softmax" if self.aim.problem.classes else "sigmoid"
            steps.append(Step(op, ("margin",), "probability"))
            return Pipeline(tuple(steps), {"probability": "probability"})
        steps.append(Step("first", ("margin",), "value", self._range()))
        return Pipeline(tuple(steps), {"value": "value"})

    def _range(self) -> dict[str, float]:
        low, high = self.training["range"]
        return {"scale": self.aim.scale, "shift": self.aim.shift, "low": low, "high": high}

    def facts(self) -> dict[str, Any]:
        return dict(self.training)

    def keep(self, folder: Path) -> None:
        """Write down what `resume_images` goes on from."""
        facts = {
            "decoder": [self.decoder.column, dict(self.decoder.params)],
            "features": None if self.beside is None else self.beside.record(),
            "shift": self.aim.shift,
            "scale": self.aim.scale,
            "range": self.training["range"],
        }
        self.learned.write(folder, facts)


def fit_images(data: Rows, problem: Problem, fitting: Fitting, context: RunContext) -> ImageModel:
    """Decode pictures, fit the columns beside them, train a network on rows whose weight is not zero."""
    hours = Hours(context.seconds)
    fitting = replace(fitting, kind=_kind(problem))
    data = data.take(np.flatnonzero(data.weights() > 0))
    column = pictures(problem)[0]
    square = bool(fitting.tune)  # pretrained transformers have a place for each patch of a square
    decoder = decoder_for(data, column, fitting.side, fitting.most, fitting.mode, square=square)
    if fitting.shrinks and not fitting.side and hours.left() != float("inf"):
        decoder = _affordable(decoder, data, problem, fitting, context, hours)
    beside = linear_features(data, problem) if has_others(problem) else None
    aim = Aim.at(data, problem)
    part = _Part(decoder, beside, aim, context.threads)
    rows = part.of(_enough(data))
    fitting = _as_mirrors_allow(_augmented(fitting, decoder, problem), rows, problem)
    low, high = (0.0, 0.0) if fitting.kind != "number" else _range_of(data, problem)
    return _modelled(part, rows, fitting, context, hours, (low, high))


def resume_images(earlier: Earlier, data: Rows, problem: Problem, fitting: Fitting, context: RunContext) -> ImageModel:
    """Go on from the weights that a network ended with, on pixels and columns made as they were for it."""
    hours = Hours(context.seconds)
    fitting = replace(fitting, kind=_kind(problem))
    data = data.take(np.flatnonzero(data.weights() > 0))
    learned, facts = learned_in(earlier.folder)
    column, params = facts["decoder"]
    beside = None if facts["features"] is None else _beside_of(earlier.pipeline, facts["features"])
    part = _Part(Decoder(column, params), beside, Aim(problem, facts["shift"], facts["scale"]), context.threads)
    low, high = facts["range"]
    if fitting.kind == "number":
        least, most = _range_of(data, problem)
        low, high = min(low, least), max(high, most)
    return _modelled(part, part.of(_enough(data)), fitting, context, hours, (low, high), learned)


def _beside_of(pipeline: Pipeline, record: Mapping[str, Any]) -> Features:
    """The features of the columns beside the picture, from an exported model."""
    steps = tuple(step for step in pipeline.steps if step.output != PIXELS)
    return Features.of(replace(pipeline, steps=steps), record)


def _modelled(
    part: _Part,
    rows: ImageRows,
    fitting: Fitting,
    context: RunContext,
    hours: Hours,
    span: tuple[float, float],
    earlier: Learned | None = None,
) -> ImageModel:
    """The model of a network that is trained on some rows, from the beginning or from an earlier one."""
    judges = None
    if context.validation is not None and len(context.validation):
        judges = part.of(_evenly(context.validation, JUDGES))
    network, facts, learned = trained(rows, judges, fitting, part.aim.problem, context, hours, earlier)
    facts = {**facts, "side": part.decoder.shape[0], "range": list(span)}
    return ImageModel(part.decoder, part.beside, network, part.aim, facts, learned)


def _kind(problem: Problem) -> str:
    return "classes" if problem.classes else "labels" if problem.labels else "number"


def _affordable(
    decoder: Decoder, data: Rows, problem: Problem, fitting: Fitting, context: RunContext, hours: Hours
) -> Decoder:
    """The decoder, or one for smaller pictures where there is no time for enough passes through those that it makes."""
    if min(decoder.shape[:2]) <= SMALL:
        return decoder
    from volant.neural.image.building import TRIED, affordable_side
    from volant.neural.loop import torch_threads

    some = _Part(decoder, None, Aim.at(data, problem), context.threads).of(_evenly(_enough(data), TRIED))
    outputs = max(len(problem.classes), len(problem.labels), 1)
    with torch_threads(context.threads):
        side = affordable_side(
            fitting.designs[0], some, outputs, fitting.recipe, time_to_train(hours), fitting.recipe.epochs * len(data)
        )
    return decoder if side is None else decoder.at(side)


def _range_of(data: Rows, problem: Problem) -> tuple[float, float]:
    """The targets' range: a network must not promise what was never seen."""
    target = load("tasks", problem.task).encode(data, problem)
    return float(target.min()), float(target.max())


def _enough(data: Rows) -> Rows:
    if len(data) >= FEWEST:
        return data
    return data.take(np.arange(FEWEST) % len(data))


def _evenly(data: Rows, most: int) -> Rows:
    return data if len(data) <= most else data.take(np.linspace(0, len(data) - 1, most).astype(np.int64))


@dataclass(frozen=True)
class _Part:
    """How rows become what a network is trained on."""

    decoder: Decoder
    beside: Features | None
    aim: Aim
    threads: int

    def of(self, data: Rows) -> ImageRows:
        from volant.neural.image.rows import ImageRows

        others = None if self.beside is None else self.beside.matrix(data)
        given = self.aim.part(data, np.empty((len(data), 0), np.float32))
        classes = len(self.aim.problem.classes)
        return ImageRows.of(self.decoder.pixels(data, self.threads), given.y, given.weights, classes, others)


def _augmented(fitting: Fitting, decoder: Decoder, problem: Problem) -> Fitting:
    """With the augmentation that is asked for, or the usual one for pictures of that size; numbers are not mixed."""
    names = augmentation(fitting.augment, min(decoder.shape[:2]), bool(problem.classes or problem.labels))
    how = Augmentation(names)
    return replace(fitting, recipe=replace(fitting.recipe, augmentation=how))


def _as_mirrors_allow(fitting: Fitting, rows: ImageRows, problem: Problem) -> Fitting:
    """Without mirror images where a mirror changes what a picture shows."""
    how = fitting.recipe.augmentation
    if "flip" not in how.names:
        return fitting
    if fitting.kind != "number" and mirror_keeps(rows.pictures, _shown(rows, fitting.kind)):
        if not fitting.mirrored:
            return fitting
        return replace(fitting, designs=tuple(replace(design, mirrored=True) for design in fitting.designs))
    names = tuple(name for name in how.names if name != "flip")
    return replace(fitting, recipe=replace(fitting.recipe, augmentation=replace(how, names=names)))


def _shown(rows: ImageRows, kind: str) -> np.ndarray:
    """What each picture shows, as a number (n,): its class, or which labels it carries."""
    targets = rows.targets.numpy()
    if kind == "classes":
        return np.asarray(targets.argmax(axis=1))
    return np.asarray(np.unique(targets == 1, axis=0, return_inverse=True)[1]).reshape(-1)
