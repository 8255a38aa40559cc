"""Training a network for pictures: on what, for how long, and by what means."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from volant.core.progress import Progress
from volant.neural.crew import Crew, crew_here
from volant.neural.curves import Curves
from volant.neural.image.compiled import compile_steps
from volant.neural.image.design import Recipe
from volant.neural.image.network import ImageNetwork
from volant.neural.image.objective import ImageObjective
from volant.neural.image.optimising import optimiser_of
from volant.neural.image.rows import Augmented, ImageRows
from volant.neural.loop import Loop, Plan, Trained
from volant.neural.means import Keeper, Means
from volant.neural.precision import quick_kind, repeatable


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
    source = Augmented(rows, recipe.augmentation, network.dice.initial_seed(), crew.device)
    plan = Plan(
        recipe.epochs,
        min(recipe.batch, len(rows)),
        recipe.until,
        recipe.patience,
        at.seconds,
        recipe.average,
        recipe.looks,
    )
    with repeatable(crew.device):
        if recipe.compiled:
            taken = compile_steps(objective, source, plan.batch, network.dice.initial_seed(), at.progress)
            plan = replace(plan, seconds=max(plan.seconds - taken, 0.05))
        means = _means(at, crew, recipe)
        found = Loop(objective, source, optimiser_of(network, recipe), plan, network.dice, at.progress, means).run()
    network.to("cpu").eval()
    return found


def _means(at: Circumstances, crew: Crew, recipe: Recipe) -> Means:
    means = Means(crew=crew, kind=quick_kind(crew.device), clip=recipe.clip, pieces=recipe.pieces)
    if at.folder is None:
        return means
    return replace(means, keeper=Keeper(at.folder / "checkpoint.safetensors"), curves=Curves(at.folder))
