"""The quick convolutional network, whose width follows from the time at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from volant.core.clock import Machine
from volant.core.protocols import Range, Rows, RunContext
from volant.core.records import Cost, Problem
from volant.learners.image.fitting import Fitting
from volant.learners.image.learning import AUGMENTED, Learning
from volant.learners.image.network_learner import PictureNetwork, image_cost
from volant.neural.image.design import Design, Recipe

LADDER = ((16, 32, 64), (24, 64, 96), (32, 96, 128), (48, 160, 192), (64, 256, 256))
"""Widths of the groups, from those for seconds to those of the published recipe."""
LEAST = (0.0, 4.0, 5.0, 6.0, 7.0)
"""Epochs below which the next narrower network does better."""
MOST_EPOCHS, MOST_ROWS_SEEN = 40, 400_000
"""Epochs at the most where a deadline decides; few rows are passed through more often, up to so many in all."""
FEW = 1_500
"""Rows below which the narrowest network does, where no deadline says what there is time for."""
PER_ROW, WEIGHTS = 6e7, 3e5
"""Operations for one picture, and numbers that are learned. Larger pictures are cut into patches that leave about as
many of them, and are made smaller where time is short."""


@dataclass(frozen=True)
class ConvnetOptions(Learning):
    """`widths` as numbers with commas, or empty for those that fit the time (without a deadline the middle ones).

    `batch` 0 gives as many steps as a training needs; `rate` is Muon's for batches of 500 rows. `augment` is a preset,
    names with commas, or `auto`: `light` for small pictures and `photographs` for larger ones. `views` 2 answers with
    the mean over a picture and its mirror image, where these mean the same. `side` 0 fits the pictures. `attacked`
    moves pixels by so much of 255 against the network while it learns.
    """

    widths: str = ""
    epochs: int = 12
    batch: int = 0
    rate: float = 0.24
    smoothing: float = 0.2
    augment: str = field(default="auto", metadata=AUGMENTED)
    views: int = 2
    side: int = 0
    attacked: float = 0.0


class Convnet(PictureNetwork):
    """Whitened patches, three groups of convolutions, the peaks: trained by Muon in few epochs."""

    name = "convnet"
    version = 1
    summary = "a quick convolutional network (whitening, Muon, alternating flips), as wide as time allows, by torch"
    options = ConvnetOptions

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        return image_cost(problem, machine, PER_ROW, WEIGHTS, self.portfolio(problem)[0].epochs)

    def portfolio(self, problem: Problem) -> Sequence[ConvnetOptions]:
        epochs = 12 if problem.rows >= 10_000 else 24 if problem.rows >= 1_500 else 40
        base = ConvnetOptions(epochs=epochs)
        return (base, replace(base, augment="standard", epochs=2 * epochs), replace(base, augment="none"))

    def sketch(self, problem: Problem) -> ConvnetOptions:
        return ConvnetOptions(widths="8,8,16", epochs=12, batch=32, views=1)

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "rate": Range(0.03, 0.5, log=True),
            "smoothing": Range(0.0, 0.3),
            "augment": Range(choices=("none", "light", "photographs", "standard", "strong")),
        }

    def fitting(self, data: Rows, problem: Problem, options: ConvnetOptions, context: RunContext) -> Fitting:
        timed = context.seconds != float("inf") and not options.widths
        recipe = Recipe(
            epochs=self._most_epochs(options, problem, len(data)) if timed else options.epochs,
            batch=options.batch,
            rate=options.rate or ConvnetOptions.rate,
            looks=12,
            quick=True,
            attacked=options.attacked if problem.classes else 0.0,
        )
        recipe = options.taught(recipe, problem)
        ladder = LADDER if timed else LADDER[:1] if problem.rows < FEW else LADDER[:3]
        widths = [tuple(int(w) for w in options.widths.split(","))] if options.widths else ladder
        designs = tuple(Design("convnet", found, dropout=options.dropout) for found in widths)
        return Fitting(
            designs,
            recipe,
            options.augment,
            side=options.side,
            least=LEAST[: len(designs)],
            mirrored=options.views > 1,
            shrinks=timed,
        )

    def _most_epochs(self, options: ConvnetOptions, problem: Problem, rows: int) -> int:
        """Passes at the most where a deadline decides; those that a product file asks for stand."""
        if options.epochs not in {own.epochs for own in self.portfolio(problem)}:
            return options.epochs
        return max(MOST_EPOCHS, min(MOST_ROWS_SEEN // max(rows, 1), 200))
