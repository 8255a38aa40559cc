"""Residual networks."""

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

PER_PIXEL, WEIGHTS = 1.1e6, 1.1e7
"""Operations for one pixel that the blocks see, and numbers that are learned, of 18 layers at full width."""
LARGE = 96
"""Side in pixels from which the first layers make pictures four times smaller."""
FULL = 64


@dataclass(frozen=True)
class ResnetOptions(Learning):
    """`layers` is 18 or 50, `width` that of the first blocks. `augment` is a preset or names with commas."""

    layers: int = 18
    width: int = 16
    epochs: int = 20
    batch: int = 128
    rate: float = 3e-3
    decay: float = 0.05
    smoothing: float = 0.1
    augment: str = field(default="light", metadata=AUGMENTED)
    side: int = 0
    attacked: float = 0.0


class Resnet(PictureNetwork):
    """Residual networks with 18 or 50 layers, trained by AdamW in one cycle."""

    name = "resnet"
    version = 1
    summary = "residual networks with 18 or 50 layers, by torch"
    options = ResnetOptions

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        chosen = self.portfolio(problem)[0]
        share = (chosen.width / FULL) ** 2
        height, width = looked_at(problem)
        seen = height * width / (16 if min(height, width) >= LARGE else 1)
        return image_cost(problem, machine, PER_PIXEL * seen * share, WEIGHTS * share, chosen.epochs)

    def portfolio(self, problem: Problem) -> Sequence[ResnetOptions]:
        base = ResnetOptions(batch=128 if problem.rows >= 1_500 else 32)
        return (base, replace(base, width=32, epochs=30), replace(base, layers=50, augment="standard", epochs=40))

    def sketch(self, problem: Problem) -> ResnetOptions:
        return ResnetOptions(width=4, epochs=6, batch=32, rate=1e-2)

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "rate": Range(5e-4, 1e-2, log=True),
            "decay": Range(1e-3, 0.3, log=True),
            "width": Range(choices=(16, 24, 32, 48, 64)),
            "augment": Range(choices=("none", "light", "standard", "strong")),
        }

    def fitting(self, data: Rows, problem: Problem, options: ResnetOptions, context: RunContext) -> Fitting:
        attacked = options.attacked if problem.classes else 0.0
        recipe = Recipe(options.epochs, options.batch, options.rate, attacked=attacked)
        recipe = options.taught(recipe, problem)
        design = Design("resnet", (options.width,), options.layers, options.dropout)
        return Fitting((design,), recipe, options.augment, side=options.side)
