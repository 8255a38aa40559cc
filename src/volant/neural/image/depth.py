"""Rates by depth: a pretrained network keeps what its first layers know, if they learn slowest."""

from __future__ import annotations

import re

from volant.neural.image.design import Recipe
from volant.neural.image.network import ImageNetwork
from volant.neural.optimisers import Group
from volant.neural.schedules import one_cycle

_LAYER = re.compile(r"\b(?:layers?|blocks?|stages?|h)\.(\d+)(?:\.(?:layers|blocks)\.(\d+))?")


def groups(network: ImageNetwork, recipe: Recipe) -> list[Group]:
    """Parameters by their depth: the head and the last layers learn at the full rate, the first ones slowest."""
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    depths = {name: _depth(name) for name, _ in named}
    order = sorted({depth for depth in depths.values() if depth is not None})
    place = {depth: i + 1 for i, depth in enumerate(order)}
    last, cycle = len(order) + 1, one_cycle(0.1)
    found = []
    for name, parameter in named:
        depth = depths[name]
        first = name.startswith("body") and "embed" in name
        at = 0 if first else last if depth is None else place[depth]
        rate = recipe.rate * recipe.deeper ** (last - at)
        found.append(Group((parameter,), rate, recipe.decay if parameter.ndim > 1 else 0.0, cycle))
    return found


def _depth(name: str) -> tuple[int, int] | None:
    match = _LAYER.search(name)
    return None if match is None else (int(match[1]), int(match[2] or 0))
