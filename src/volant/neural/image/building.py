"""Networks from their designs, and the largest of several that can be trained in a given time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from volant.neural.image.cnn import Cnn
from volant.neural.image.convnet import ConvNet
from volant.neural.image.design import Design, Recipe
from volant.neural.image.layers import Shape, begun_at, pixels_of
from volant.neural.image.network import Beside, ImageNetwork
from volant.neural.image.objective import ImageObjective
from volant.neural.image.optimising import optimiser_of, quick_head
from volant.neural.image.resnet import ResNet
from volant.neural.image.rows import ImageRows
from volant.neural.image.vit import Vit
from volant.neural.precision import quick_kind, reckoned_in

SEEN = 2_000
"""Pictures that scales and the first layer are computed from."""
STEPS, LEAST_BATCH, MOST_BATCH = 600, 32, 500
"""Steps that a training needs, and rows of a batch."""
SHOWN = STEPS * LEAST_BATCH
"""Pictures that a training is shown at least, however few there are: else fewer pixels and narrow layers are better."""
SIDES = (64, 48, 32)
"""Sides to which pictures are made smaller where time is short."""
TRIED, LEAST_TRIED, TRIED_PIXELS = 256, 16, 256 * 32 * 32
"""Rows that a design is tried on, at the most and at the least, and their pixels."""
BESIDE = 64
"""Features that are made of the columns beside a picture."""
FILTERS = "body.whiten.weight"
"""What the filters of a computed first layer are called in a network."""


def build(
    design: Design, rows: ImageRows, outputs: int, seed: int, begun: Mapping[str, np.ndarray] | None = None
) -> ImageNetwork:
    """A fresh network for some rows; all that it draws follows from the seed. It begins at the numbers of `begun`."""
    held = {name: torch.from_numpy(np.array(value)) for name, value in (begun or {}).items()}
    some = rows.sample(SEEN)
    dice = torch.Generator().manual_seed(seed)
    beside = 0 if rows.beside is None else rows.beside.shape[1]
    with begun_at(seed):
        pixels = pixels_of(some)
        shape = Shape(*some.shape[1:])
        if design.kind == "backbone":
            from volant.neural.image.backbone import pretrained

            pixels, body = pretrained(design.source, shape.channels, shape.height, shape.width)
        else:
            scaled = pixels(some) if design.kind == "convnet" else None
            body = _body(design, shape, scaled, dice, held.get(FILTERS))
        network = ImageNetwork(
            pixels,
            body,
            outputs,
            Beside(beside, BESIDE) if beside else None,
            dice=dice,
            dropout=0.0 if design.kind == "vit" else design.dropout,
            mirrored=design.mirrored,
        )
        if design.kind == "convnet":
            quick_head(network)
        network.load_state_dict({**network.state_dict(), **held})
    return network


def _body(
    design: Design,
    shape: Shape,
    scaled: torch.Tensor | None,
    dice: torch.Generator,
    filters: torch.Tensor | None = None,
) -> torch.nn.Module:
    if design.kind == "convnet":
        assert scaled is not None
        return ConvNet(scaled, design.widths, design.depth, filters)
    if design.kind == "cnn":
        return Cnn(shape)
    if design.kind == "resnet":
        return ResNet(shape.channels, shape.side, design.depth, design.widths[0])
    assert design.kind == "vit", design.kind
    return Vit(shape, dice, features=design.widths[0], depth=design.depth, skipped=design.dropout)


def seconds_per_row(design: Design, rows: ImageRows, outputs: int, recipe: Recipe) -> float:
    """How long one row takes in training, as tried on a few batches."""
    tried = max(LEAST_TRIED, min(TRIED, TRIED_PIXELS // int(np.prod(rows.pictures.shape[1:3]))))
    recipe = replace(recipe, batch=min(recipe.batch or tried, tried, len(rows)))
    network = build(design, rows, outputs, 0).to(memory_format=torch.channels_last).train()
    objective = ImageObjective(network, "classes" if outputs > 1 else "number", attacked=recipe.attacked)
    optimiser = optimiser_of(network, recipe)
    batch = rows.batch(np.arange(recipe.batch))
    taken = []
    for _ in range(3):
        began = time.monotonic()
        with reckoned_in(quick_kind(), torch.device("cpu")):
            loss = objective.loss(batch, 1.0)
        loss.backward()
        optimiser.step(1.0)
        taken.append(time.monotonic() - began)
    return min(taken[1:]) / recipe.batch


def largest(
    designs: Sequence[Design], rows: ImageRows, outputs: int, recipe: Recipe, seconds: float, least: Sequence[float]
) -> tuple[Design, float]:
    """The largest design that can pass through all rows often enough in the time, and how often; smallest first.

    `least` says how often each one must, at least; of few rows all but the first must, too, until `SHOWN` pictures are
    seen. Trying them takes a few batches each, and ends at the first that is too large, or is sure to be.
    """
    found, epochs = designs[0], 1.0
    least = [max(wanted, SHOWN / len(rows)) if place else 0.0 for place, wanted in enumerate(least)]
    for place, design in enumerate(designs):
        if seconds <= 0.0 or (place and epochs < least[place]):
            break
        began = time.monotonic()
        per_row = seconds_per_row(design, rows, outputs, recipe)
        seconds -= time.monotonic() - began
        possible = max(seconds, 0.0) / (per_row * len(rows))
        if place and possible < least[place]:
            break
        found, epochs = design, max(possible, 1e-3)
    return found, epochs


def affordable_side(
    design: Design, rows: ImageRows, outputs: int, recipe: Recipe, seconds: float, most: float = float("inf")
) -> int | None:
    """The side that pictures must be made smaller to, so that a design is shown enough of them in the time.

    None where they can stay as they are. `rows` are some of them, `most` is how many a training is shown at the most.
    """
    began = time.monotonic()
    per_row = seconds_per_row(design, rows, outputs, recipe)
    return smaller_side(min(rows.pictures.shape[1:3]), per_row * min(SHOWN, most), seconds - time.monotonic() + began)


def smaller_side(side: int, needed: float, seconds: float) -> int | None:
    """The largest side, or the smallest there is, at which what needs so many seconds at `side` ends in time."""
    smaller = [one for one in SIDES if one < side]
    if needed <= seconds or not smaller:
        return None
    return next((one for one in smaller if needed * (one / side) ** 2 <= seconds), smaller[-1])


def with_batch(recipe: Recipe, rows: int, epochs: float) -> Recipe:
    """With a batch that gives about as many steps as a training needs, and the rate of Muon that goes with it.

    `epochs` is how often the rows can be passed through; the recipe's own number stays, as a deadline ends it anyway.
    """
    fitting = min(max(8 * round(rows * epochs / STEPS / 8), LEAST_BATCH), MOST_BATCH)
    batch = recipe.batch or fitting
    return replace(recipe, batch=batch, rate=recipe.rate * (batch / MOST_BATCH) ** 0.5 if recipe.quick else recipe.rate)
