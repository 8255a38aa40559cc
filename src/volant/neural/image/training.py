"""Training a network for pictures: which parameters learn how fast, for how long, and by what means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from volant.core.progress import Progress
from volant.neural.crew import Crew, crew_here
from volant.neural.curves import Curves
from volant.neural.finder import find_rate
from volant.neural.image.depth import groups
from volant.neural.image.design import Recipe
from volant.neural.image.network import ImageNetwork
from volant.neural.image.objective import ImageObjective
from volant.neural.image.rows import Augmented, ImageRows
from volant.neural.loop import Loop, Plan, Trained
from volant.neural.means import Keeper, Means
from volant.neural.muon import Muon
from volant.neural.optimisers import Adam, Group, Optimiser, Sgd, Together
from volant.neural.precision import quick_kind, repeatable
from volant.neural.schedules import Schedule, linear, one_cycle


@dataclass(frozen=True)
class Circumstances:
    """Where and for how long: seconds, a folder for what a killed training goes on from, and who is told."""

    seconds: float
    progress: Progress
    folder: Path | None = None
    crew: Crew = field(default_factory=crew_here)


def train(
    network: ImageNetwork, rows: ImageRows, held_out: ImageRows | None, kind: str, recipe: Recipe, at: Circumstances
) -> Trained:
    """Train a network; it is left with the weights that did best on the held-out rows, or with the last ones."""
    crew = at.crew
    network.to(memory_format=torch.channels_last)
    objective = ImageObjective(network, kind, held_out, recipe.smoothing, crew.device, recipe.attacked)
    objective.model = crew.wrap(network)
    optimiser = optimiser_of(network, recipe)
    plan = Plan(
        recipe.epochs,
        min(recipe.batch, len(rows)),
        recipe.until,
        recipe.patience,
        at.seconds,
        recipe.average,
        recipe.looks,
    )
    source = Augmented(rows, recipe.augmentation, network.dice.initial_seed(), crew.device)
    with repeatable(crew.device):
        found = Loop(objective, source, optimiser, plan, network.dice, at.progress, _means(at, crew, recipe)).run()
    network.to("cpu").eval()
    return found


def _means(at: Circumstances, crew: Crew, recipe: Recipe) -> Means:
    means = Means(crew=crew, kind=quick_kind(crew.device), clip=recipe.clip)
    if at.folder is None:
        return means
    return replace(means, keeper=Keeper(at.folder / "checkpoint.safetensors"), curves=Curves(at.folder))


def optimiser_of(network: ImageNetwork, recipe: Recipe) -> Optimiser:
    """The optimiser that a recipe asks for."""
    if recipe.quick:
        return quick(network, recipe)
    return Adam(groups(network, recipe), (0.9, 0.98)) if recipe.deeper != 1.0 else plain(network, recipe)


def plain(network: nn.Module, recipe: Recipe) -> Optimiser:
    """AdamW in one cycle; what has one dimension does not decay."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    wide = tuple(p for p in parameters if p.ndim > 1)
    narrow = tuple(p for p in parameters if p.ndim < 2)
    cycle = one_cycle()
    groups = [Group(wide, recipe.rate, recipe.decay, cycle, l1=recipe.l1), Group(narrow, recipe.rate, 0.0, cycle)]
    return Adam(groups, (0.9, 0.98))


FIRST_TRIED = 1e-3


def with_rate(network: ImageNetwork, rows: ImageRows, kind: str, recipe: Recipe) -> Recipe:
    """The recipe with the rate at which the loss falls fastest, where it names none; the network stays as it was."""
    if recipe.rate or recipe.quick:
        return recipe
    batch, dice = min(recipe.batch, len(rows)), network.dice.get_state()
    recipe = replace(recipe, rate=FIRST_TRIED)
    constantly = Adam([Group(tuple(p for p in network.parameters() if p.requires_grad), FIRST_TRIED, recipe.decay)])
    source = Augmented(rows, recipe.augmentation, network.dice.initial_seed())
    objective = ImageObjective(network, kind, smoothing=recipe.smoothing)
    found = find_rate(objective, source, constantly, batch=batch, seed=network.dice.initial_seed())
    network.dice.set_state(dice)
    return replace(recipe, rate=FIRST_TRIED * found.suggested)


NORMS, WHITENING, HEAD = 0.053, 0.053, 0.67
"""Rates of the biases and of the head for the sum of the losses of a batch. Source: Jordan (2024), with Muon."""
DECAY = 2e-6
WHITENED = 3 / 8
"""Share of the training in which the biases of the first layer learn. Source: as above."""


def quick(network: ImageNetwork, recipe: Recipe) -> Optimiser:
    """Muon for filters, SGD for biases and the head, all falling along a line."""
    filters, first, norms, head, rest = _parts(network)
    per_batch = float(recipe.batch)

    def group(parameters: Sequence[nn.Parameter], rate: float, schedule: Schedule = linear) -> Group:
        return Group(tuple(parameters), rate * per_batch, DECAY / rate, schedule)

    def early(progress: float) -> float:
        return max(0.0, 1.0 - progress / WHITENED)

    optimisers: list[Optimiser] = [
        Muon([Group(tuple(filters), recipe.rate, rate_schedule=linear)], momentum=0.6, steps=3, unit=True),
        Sgd([group(first, WHITENING, early), group(norms, NORMS), group(head, HEAD)], momentum=0.85),
    ]
    if rest:
        optimisers.append(Adam([Group(tuple(rest), 2e-3, 0.01, linear)]))
    return Together(*optimisers)


def _parts(network: ImageNetwork) -> tuple[list[nn.Parameter], ...]:
    """Filters, the biases of the first layer, those of norms, the head, and what is beside the pictures."""
    parts: tuple[list[nn.Parameter], ...] = ([], [], [], [], [])
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        place = 4 if name.startswith("beside") else 3 if name.startswith("head") else 0
        if name.startswith("body") and parameter.ndim < 4:
            place = 1 if "whiten" in name else 2
        parts[place].append(parameter)
    return parts


def quick_head(network: ImageNetwork) -> None:
    """Let the head begin as the quick recipe wants it: weights of spread one, answers divided by its width."""
    weight = network.head.weight
    with torch.no_grad():
        weight /= weight.std()
        network.head.bias.zero_()
    network.scale = 1.0 / weight.shape[1]
