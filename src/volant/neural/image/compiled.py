"""Networks whose training torch compiles, where that is asked for and can be done."""

from __future__ import annotations

import logging
import time

import torch

from volant.core.progress import Progress
from volant.neural.feeding import Batch, Feeder
from volant.neural.image.objective import ImageObjective
from volant.neural.image.rows import Augmented
from volant.neural.precision import quick_kind, reckoned_in

BACKEND = "inductor"


def compile_steps(objective: ImageObjective, source: Augmented, batch: int, seed: int, progress: Progress) -> float:
    """Let an objective's steps go through a compiled network; the seconds that it took.

    A batch is tried, which leaves everything as it was. Where it fails, say for want of a C++ compiler, steps stay as
    they are, and that is told: they give the same but for rounding.
    """
    began = time.monotonic()
    progress.say("the network is being compiled")
    try:
        objective.compiled = torch.compile(objective.model, backend=BACKEND, dynamic=True)
        _tried(objective, next(Feeder(source, batch, seed)._here(0)))
    except Exception as cause:  # whatever a compiler, its toolchain or its machine lacks
        logging.getLogger(__name__).info("not compiled", exc_info=True)
        objective.compiled = None
        progress.say(f"the network cannot be compiled here ({type(cause).__name__}) and learns as it is")
    return time.monotonic() - began


def _tried(objective: ImageObjective, batch: Batch) -> None:
    """One step forth and back, of which nothing stays."""
    model, dice = objective.model, objective.dice.get_state()
    kept = {name: value.detach().clone() for name, value in model.state_dict().items()}
    model.train()
    try:
        batch = tuple(values.to(objective.device) for values in batch)
        with reckoned_in(quick_kind(objective.device), objective.device):
            loss = objective.loss(batch, 0.0)
        loss.backward()
    finally:
        for parameter in model.parameters():
            parameter.grad = None
        model.load_state_dict(kept)
        objective.dice.set_state(dice)
