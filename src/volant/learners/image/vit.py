"""A small vision transformer."""

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

PATCHES = 64


@dataclass(frozen=True)
class VitOptions(Learning):
    """`depth` layers of `width` numbers per patch; `dropout` leaves out branches. `augment` as elsewhere."""

    width: int = 192
    depth: int = 6
    epochs: int = 30
    batch: int = 128
    rate: float = 1e-3
    decay: float = 0.05
    dropout: float = 0.1
    smoothing: float = 0.1
    augment: str = field(default="standard", metadata=AUGMENTED)
    side: int = 0


class Vit(PictureNetwork):
    """Pictures as patches that attend to each other, trained by AdamW in one cycle."""

    name = "vit"
    version = 1
    summary = "a small vision transformer, by torch"
    options = VitOptions

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        chosen = self.portfolio(problem)[0]
        weights = 12.0 * chosen.depth * chosen.width**2
        height, width = looked_at(problem)
        size = max(2, round((height * width / PATCHES) ** 0.5))
        patches = (height // size) * (width // size)
        each = weights + 2 * patches * chosen.width * chosen.depth + 3 * size**2 * chosen.width
        return image_cost(problem, machine, 2 * patches * each, weights, chosen.epochs)

    def portfolio(self, problem: Problem) -> Sequence[VitOptions]:
        base = VitOptions(batch=128 if problem.rows >= 1_500 else 32)
        small = replace(base, width=128, depth=4)
        return (small, base) if problem.rows < 10_000 else (base, small)

    def sketch(self, problem: Problem) -> VitOptions:
        return VitOptions(width=32, depth=2, epochs=12, batch=32, rate=4e-3, augment="light")

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "rate": Range(2e-4, 4e-3, log=True),
            "dropout": Range(0.0, 0.3),
            "width": Range(choices=(128, 192, 256)),
            "depth": Range(4, 8, whole=True),
        }

    def fitting(self, data: Rows, problem: Problem, options: VitOptions, context: RunContext) -> Fitting:
        recipe = options.taught(Recipe(options.epochs, options.batch, options.rate, clip=1.0), problem)
        design = Design("vit", (options.width,), options.depth, options.dropout)
        return Fitting((design,), recipe, options.augment, side=options.side)
