"""The convolutional network of the tutorials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from volant.core.clock import Machine
from volant.core.protocols import Range, Rows, RunContext
from volant.core.records import Cost, Problem
from volant.learners.image.network_fit import Fitting, ImageModel, PictureNetwork, fit_images, image_cost
from volant.neural.image.design import Design, Recipe

PER_ROW, WEIGHTS = 2e7, 1.3e5
"""Operations for one picture of 32 × 32 pixels, and numbers that are learned."""


@dataclass(frozen=True)
class CnnOptions:
    """Adam at `rate` (0 finds one) for `epochs`; `augment` is a preset or names with commas.

    `dropout` leaves out features before the head, `decay` and `l1` draw weights to zero. `side` 0 fits the pictures.
    """

    epochs: int = 10
    batch: int = 32
    rate: float = 1e-3
    augment: str = "none"
    dropout: float = 0.0
    decay: float = 0.0
    l1: float = 0.0
    side: int = 0


class Cnn(PictureNetwork):
    """Three convolutions, two of them with pooling, and two dense layers, trained by Adam."""

    name = "cnn"
    version = 1
    summary = "the plain convolutional network of the tutorials: three convolutions and two dense layers, by torch"
    options = CnnOptions

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        return image_cost(problem, machine, PER_ROW, WEIGHTS, self.portfolio(problem)[0].epochs)

    def portfolio(self, problem: Problem) -> Sequence[CnnOptions]:
        base = CnnOptions()
        return (base, replace(base, epochs=20, batch=64, augment="light"))

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {"rate": Range(3e-4, 5e-3, log=True), "epochs": Range(5, 40, whole=True)}

    def fit(self, data: Rows, problem: Problem, options: CnnOptions, context: RunContext) -> ImageModel:
        recipe = Recipe(options.epochs, options.batch, options.rate, options.decay, l1=options.l1)
        design = Design("cnn", dropout=options.dropout)
        return fit_images(data, problem, Fitting((design,), recipe, options.augment, side=options.side), context)
