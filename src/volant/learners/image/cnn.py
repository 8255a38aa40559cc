"""The convolutional network of the tutorials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from volant.core.clock import Machine
from volant.core.protocols import Range, Rows, RunContext
from volant.core.records import Cost, Problem
from volant.learners.image.decoding import looked_at
from volant.learners.image.fitting import Fitting
from volant.learners.image.learning import AUGMENTED, Learning
from volant.learners.image.network_learner import PictureNetwork, image_cost
from volant.neural.image.design import Design, Recipe

WEIGHTS = 1.3e5
"""Numbers that are learned."""


@dataclass(frozen=True)
class CnnOptions(Learning):
    """AdamW at `rate` (0 finds one) for `epochs`; `augment` is a preset or names with commas.

    `side` 0 fits the pictures.
    """

    epochs: int = 10
    batch: int = 32
    rate: float = 1e-3
    augment: str = field(default="none", metadata=AUGMENTED)
    side: int = 0


def work(height: int, width: int) -> float:
    """Operations for one picture: three convolutions, the maps made smaller twice, and dense layers."""
    pool = max(2, round((min(height, width) / 8) ** 0.5))
    maps = [height * width / pool ** (2 * place) for place in range(3)]
    return 2.0 * (27 * 32 * maps[0] + 9 * 32 * 64 * maps[1] + 9 * 64 * 64 * maps[2] + 64 * 64 * maps[2])


class Cnn(PictureNetwork):
    """Three convolutions, two of them with pooling, and two dense layers, trained by Adam."""

    name = "cnn"
    version = 1
    summary = "the plain convolutional network of the tutorials: three convolutions and two dense layers, by torch"
    options = CnnOptions

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        return image_cost(problem, machine, work(*looked_at(problem)), WEIGHTS, self.portfolio(problem)[0].epochs)

    def portfolio(self, problem: Problem) -> Sequence[CnnOptions]:
        base = CnnOptions()
        return (base, replace(base, epochs=20, batch=64, augment="light"))

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {"rate": Range(3e-4, 5e-3, log=True), "epochs": Range(5, 40, whole=True)}

    def fitting(self, data: Rows, problem: Problem, options: CnnOptions, context: RunContext) -> Fitting:
        recipe = options.taught(Recipe(options.epochs, options.batch, options.rate), problem)
        design = Design("cnn", dropout=options.dropout)
        return Fitting((design,), recipe, options.augment, side=options.side)
