"""Which parameters of a network for pictures learn how fast, by which optimiser, and rates that are found by trying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from volant.neural.crew import Alone, best_device
from volant.neural.finder import find_rate
from volant.neural.image.depth import groups as groups_by_depth
from volant.neural.image.design import Recipe
from volant.neural.image.network import ImageNetwork
from volant.neural.image.objective import ImageObjective
from volant.neural.image.rows import Augmented, ImageRows
from volant.neural.means import Means
from volant.neural.muon import Muon
from volant.neural.optimisers import Adam, Group, Optimiser, Sgd, Together
from volant.neural.precision import repeatable
from volant.neural.schedules import Schedule, constant, cosine, linear, one_cycle, warm

BETAS = (0.9, 0.98)
BESIDE_MUON = 0.05
"""Rate of what Muon does not turn (biases, the head), by AdamW, as a share of Muon's."""
FIRST_TRIED = {"adamw": 1e-3, "sgd": 1e-2, "muon": 2e-2}
"""Rates around which one is looked for."""


def optimiser_of(network: ImageNetwork, recipe: Recipe) -> Optimiser:
    """The optimiser that a recipe asks for."""
    return quick(network, recipe) if recipe.quick else _by(recipe.optimiser, network, _groups(network, recipe))


def schedule_of(recipe: Recipe, usual: Schedule) -> Schedule:
    """What the rates of a recipe follow."""
    known = {"": usual, "one_cycle": one_cycle(), "cosine": cosine, "linear": linear, "constant": constant}
    found = known[recipe.schedule]
    found = warm(found, recipe.warm_up) if recipe.warm_up else found
    return found if recipe.slower == 1.0 else lambda progress: recipe.slower * found(progress)


def _groups(network: ImageNetwork, recipe: Recipe) -> list[Group]:
    """Parameters with their rates: of a pretrained network by depth; what has one dimension does not decay."""
    if recipe.deeper != 1.0:
        cycle = schedule_of(recipe, one_cycle(0.1))
        return [replace(group, rate_schedule=cycle) for group in groups_by_depth(network, recipe)]
    parameters = [p for p in network.parameters() if p.requires_grad]
    wide = tuple(p for p in parameters if p.ndim > 1)
    narrow = tuple(p for p in parameters if p.ndim < 2)
    cycle = schedule_of(recipe, one_cycle())
    return [Group(wide, recipe.rate, recipe.decay, cycle, l1=recipe.l1), Group(narrow, recipe.rate, 0.0, cycle)]


def _by(name: str, network: ImageNetwork, groups: Sequence[Group]) -> Optimiser:
    """An optimiser by its name; Muon turns matrices and filters, and leaves the head and all else to AdamW."""
    if name == "sgd":
        return Sgd(groups)
    if name == "adamw":
        return Adam(groups, BETAS)
    head = {id(parameter) for parameter in network.head.parameters()}
    turned, rest = [], []
    for group in groups:
        matrices = tuple(p for p in group.parameters if p.ndim > 1 and id(p) not in head)
        others = tuple(p for p in group.parameters if not (p.ndim > 1 and id(p) not in head))
        turned.append(replace(group, parameters=matrices))
        rest.append(replace(group, parameters=others, rate=BESIDE_MUON * group.rate))
    return Together(Muon(turned), Adam([group for group in rest if group.parameters], BETAS))


def with_rate(
    network: ImageNetwork,
    rows: ImageRows,
    kind: str,
    recipe: Recipe,
    seconds: float = float("inf"),
    device: torch.device | None = None,
) -> Recipe:
    """The recipe with the rate at which the loss falls fastest, where it names none; the network stays as it was.

    It is looked for where the network will be trained, on a GPU if there is one, in full precision.
    """
    if recipe.rate or recipe.quick:
        return recipe
    first, crew, dice = FIRST_TRIED[recipe.optimiser], Alone(device or best_device()), network.dice.get_state()
    tried = replace(recipe, rate=first, schedule="constant", warm_up=0.0)
    seed = network.dice.initial_seed()
    source = Augmented(rows, recipe.augmentation, seed, crew.device)
    objective = ImageObjective(network, kind, smoothing=recipe.smoothing, device=crew.device)
    means = Means(crew=crew, pieces=recipe.pieces)  # by bfloat16 and clipped steps higher rates look well
    crew.wrap(network)
    with repeatable(crew.device):
        batch, optimiser = min(recipe.batch, len(rows)), optimiser_of(network, tried)
        found = find_rate(objective, source, optimiser, batch=batch, seed=seed, seconds=seconds, means=means)
    network.to("cpu")
    network.dice.set_state(dice)
    return replace(recipe, rate=first * found.suggested)


NORMS, WHITENING, HEAD = 0.053, 0.053, 0.67
"""Rates of the biases and of the head for the sum of the losses of a batch. Source: Jordan (2024), with Muon."""
DECAY = 2e-6
WHITENED = 3 / 8
"""Share of the training in which the biases of the first layer learn. Source: as above."""


def quick(network: ImageNetwork, recipe: Recipe) -> Optimiser:
    """Muon for filters, SGD for biases and the head, all falling along a line unless the recipe says otherwise."""
    filters, first, norms, head, rest = _parts(network)
    per_batch, falling = float(recipe.batch), schedule_of(recipe, linear)

    def group(parameters: Sequence[nn.Parameter], rate: float, schedule: Schedule = falling) -> Group:
        return Group(tuple(parameters), rate * per_batch, DECAY / rate, schedule)

    def early(progress: float) -> float:
        return recipe.slower * max(0.0, 1.0 - progress / WHITENED)

    optimisers: list[Optimiser] = [
        Muon(
            [Group(tuple(filters), recipe.rate, rate_schedule=falling, l1=recipe.l1)], momentum=0.6, steps=3, unit=True
        ),
        Sgd([group(first, WHITENING, early), group(norms, NORMS), group(head, HEAD)], momentum=0.85),
    ]
    if rest:
        optimisers.append(Adam([Group(tuple(rest), 2e-3, 0.01, falling)]))
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
