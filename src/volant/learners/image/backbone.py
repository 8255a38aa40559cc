"""Pretrained networks for pictures, by transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from volant.core.clock import Machine
from volant.core.plugins import missing
from volant.core.protocols import Range, Rows, RunContext
from volant.core.records import Cost, Problem
from volant.learners.image.fitting import Fitting
from volant.learners.image.learning import AUGMENTED, Learning
from volant.learners.image.network_learner import PictureNetwork, image_cost
from volant.neural.image.design import Design, Recipe

PER_ROW, WEIGHTS = 9e9, 2.2e7
"""Operations for one picture of 224 × 224 pixels, and numbers, of a small transformer."""
WAYS = ("frozen", "layers", "lora")
HEEDED = ("source", "tune", "side")
"""Options that count where features stay as they are: their head has a training of its own."""


@dataclass(frozen=True)
class BackboneOptions(Learning):
    """`source` is a local folder or the id of a network on the hub.

    `tune`: `frozen` trains a head on features that stay as they are; `layers` all layers after that, the deeper the
    slower; `lora` low-rank additions of `rank` to them. `side` 0 takes pictures as the network was trained on. The head
    on frozen features always learns in the same way, on pictures as they are: all other options are for the other two
    ways, and where they are given, a fit with `frozen` says that it does not heed them.
    """

    source: str = field(default="", metadata={"place": True})
    tune: str = "frozen"
    epochs: int = 4
    batch: int = 32
    rate: float = 5e-4
    decay: float = 0.05
    rank: int = 8
    smoothing: float = 0.1
    augment: str = field(default="light", metadata=AUGMENTED)
    side: int = 0


class Backbone(PictureNetwork):
    """Any network for pictures that transformers knows: its features with a head, then fine-tuned."""

    name = "backbone"
    version = 1
    summary = "a pretrained network for pictures (ViT, ConvNeXt, DINOv2, …) from a folder or the hub, by transformers"
    options = BackboneOptions

    def missing(self) -> str:
        return super().missing() or missing("transformers", "neural")

    def lacks(self, options: BackboneOptions) -> str:
        if options.tune not in WAYS:
            return f"train.options.backbone.tune is {options.tune!r}, not one of {', '.join(WAYS)}"
        return "" if options.source else "train.options.backbone.source names no pretrained network"

    def example(self, folder: Path) -> BackboneOptions:
        from volant.bind.transformers import write_example

        write_example(folder)
        return BackboneOptions(source=str(folder))

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        return image_cost(problem, machine, PER_ROW / 3.0, WEIGHTS, 1.0)

    def portfolio(self, problem: Problem) -> Sequence[BackboneOptions]:
        base = BackboneOptions()
        return (base, replace(base, tune="layers"), replace(base, tune="lora"))

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {"rate": Range(5e-5, 2e-3, log=True), "tune": Range(choices=WAYS), "epochs": Range(2, 10, whole=True)}

    def fitting(self, data: Rows, problem: Problem, options: BackboneOptions, context: RunContext) -> Fitting:
        from volant.bind.transformers import side_of

        unheeded = [] if options.tune != "frozen" else _given(options)
        if unheeded:
            context.progress.say(f"backbone: features stay as they are, which does not heed {', '.join(unheeded)}")
        recipe = options.taught(Recipe(options.epochs, options.batch, options.rate, clip=1.0), problem)
        design = Design("backbone", dropout=options.dropout, source=options.source)
        side = options.side or side_of(options.source)
        return Fitting((design,), recipe, options.augment, side=side, tune=options.tune, rank=options.rank)


def _given(options: BackboneOptions) -> list[str]:
    """Options other than usual that a head on frozen features does not heed."""
    return [f.name for f in fields(options) if f.name not in HEEDED and getattr(options, f.name) != f.default]
