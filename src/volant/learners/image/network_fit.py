"""Fitting a network to pictures, alone or beside the columns of a table: what the learners for pictures share."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volant.core.plugins import load
from volant.core.protocols import Rows, RunContext
from volant.core.records import Pipeline, Problem, Step
from volant.learners.image.decoding import (
    PIXELS,
    Decoder,
    decoder_for,
    has_others,
    pictures,
)
from volant.learners.tabular.boosting import Aim, Hours
from volant.learners.tabular.features import Features, linear_features
from volant.neural.image.design import SMALL, Augmentation, Design, Recipe, augmentation
from volant.neural.image.symmetry import mirror_keeps

if TYPE_CHECKING:
    from volant.neural.image.rows import ImageRows

TRAINING = 0.88
"""Share of a fit's time that is left after decoding which goes into training; the rest exports and tries it."""
FINDING = 0.15
"""Share of the time at hand that looking for a rate may take."""
JUDGES = 2_048
"""Held-out rows that are looked at while a network trains."""
COMPARED, COMPARED_LAST = 64, 1_024
"""Rows that an export is compared on, and those of a last fit, which serves, where there is time."""
FEWEST = 8
"""Rows below which they are repeated, so that there is something to normalise."""


@dataclass(frozen=True)
class Fitting:
    """What one fit builds, and how it learns.

    Attributes:
        designs: from small to large; with a deadline the largest is taken that can be trained in time, else the last.
        recipe: how it learns; with a batch of 0 rows as many steps as it needs are taken.
        augment: a preset, names with commas, or `auto`; `flip` is left out where a mirror changes what pictures show.
        side: of the pictures; 0 for one that fits them.
        most: side at the most, where it is chosen.
        mode: how pictures are brought to it.
        least: epochs that each design needs at least.
        mirrored: whether answers are means over mirror images, where these mean the same.
        tune: of a pretrained network: `frozen`, `layers` or `lora`, the latter with additions of rank `rank`.
        shrinks: whether pictures are made smaller where a deadline is too near to see enough of them.
        kind: what is learned: `classes`, `labels` or `number`.
    """

    designs: tuple[Design, ...]
    recipe: Recipe
    augment: str
    side: int = 0
    most: int = 224
    mode: str = "stretch"
    least: tuple[float, ...] = (0.0,)
    mirrored: bool = False
    tune: str = ""
    rank: int = 0
    shrinks: bool = False
    kind: str = "classes"


@dataclass(frozen=True)
class ImageModel:
    """A trained network as the ONNX model that is exported, and the steps that bring it pixels and columns."""

    decoder: Decoder
    beside: Features | None
    network: bytes
    aim: Aim
    training: Mapping[str, Any]

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
    judges = None
    if context.validation is not None and len(context.validation):
        judges = part.of(_evenly(context.validation, JUDGES))
    network, facts = _trained(rows, judges, fitting, problem, context, hours)
    low, high = (0.0, 0.0) if fitting.kind != "number" else _range_of(data, problem)
    return ImageModel(decoder, beside, network, aim, {**facts, "side": decoder.shape[0], "range": [low, high]})


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
            fitting.designs[0], some, outputs, fitting.recipe, hours.left(TRAINING), fitting.recipe.epochs * len(data)
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


def _trained(
    rows: ImageRows, judges: ImageRows | None, fitting: Fitting, problem: Problem, context: RunContext, hours: Hours
) -> tuple[bytes, dict[str, Any]]:
    """The exported network, and facts about its training."""
    from volant.neural.image.building import build, largest, with_batch
    from volant.neural.image.export import exported_network
    from volant.neural.image.optimising import with_rate
    from volant.neural.loop import torch_threads

    outputs, recipe = max(len(problem.classes), len(problem.labels), 1), fitting.recipe
    with torch_threads(context.threads):
        design, epochs = fitting.designs[-1], recipe.epochs
        if hours.left(1.0) != float("inf") and len(fitting.designs) > 1:
            seconds = hours.left(TRAINING)
            design, epochs = largest(fitting.designs, rows, outputs, recipe, seconds, fitting.least)
        recipe = with_batch(recipe, len(rows), min(epochs, recipe.epochs))
        network = build(design, rows, outputs, context.seed)
        recipe = with_rate(network, rows, fitting.kind, recipe, hours.left(FINDING))
        fitting = replace(fitting, recipe=recipe)
        found = _taught(network, rows, judges, design, fitting, context, hours)
        count = COMPARED if judges is not None else _compared(found.rows_per_second, hours)
        some = rows.batch(np.linspace(0, len(rows) - 1, min(count, max(2, len(rows)))).astype(np.int64))
        model = exported_network(network, some[0], *some[3:])
    facts = {"epochs": found.epochs, "best": round(found.best, 4), "falls": found.falls, "weights": network.size()}
    facts["rate"] = recipe.rate
    return model, {**facts, "widths": list(design.widths), "flip": "flip" in recipe.augmentation.names}


def _compared(rows_per_second: float, hours: Hours) -> int:
    """Rows that a last fit's export is compared on; answering takes less time than training did."""
    if hours.left() == float("inf"):
        return COMPARED_LAST
    return min(max(int(rows_per_second * hours.left(0.5)), COMPARED), COMPARED_LAST)


def _taught(
    network: Any,
    rows: ImageRows,
    judges: ImageRows | None,
    design: Design,
    fitting: Fitting,
    context: RunContext,
    hours: Hours,
) -> Any:
    """Train a network, by one process or by several; a pretrained one by its head first."""
    from volant.neural.image.crewed import processes, train_together
    from volant.neural.image.training import Circumstances, train

    kind = fitting.kind
    if fitting.tune:
        return _tuned(network, rows, judges, kind, fitting, context, hours)
    if processes() > 1:
        job = {"design": design, "recipe": fitting.recipe, "outputs": rows.targets.shape[1], "kind": kind}
        job |= {"seed": context.seed, "seconds": hours.left(TRAINING), "threads": context.threads}
        with tempfile.TemporaryDirectory(prefix="volant-crew-") as place:
            folder = context.folder / "crew" if context.folder is not None else Path(place)
            return train_together(network, rows, judges, job, folder, context.progress)
    at = Circumstances(hours.left(TRAINING), context.progress, context.folder)
    return train(network, rows, judges, kind, fitting.recipe, at)


def _tuned(
    network: Any,
    rows: ImageRows,
    judges: ImageRows | None,
    kind: str,
    fitting: Fitting,
    context: RunContext,
    hours: Hours,
) -> Any:
    """Train the head of a pretrained network, then, where that is asked for, the rest of it too."""
    from volant.neural.image.backbone import fine_tune, train_head
    from volant.neural.image.training import Circumstances

    found = train_head(network, rows, judges, kind, hours.left(0.5), context.progress)
    if fitting.tune == "frozen":
        return found
    at = Circumstances(hours.left(TRAINING), context.progress, context.folder)
    return fine_tune(network, rows, judges, kind, fitting.recipe, at, fitting.rank if fitting.tune == "lora" else 0)
