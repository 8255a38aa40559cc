"""Finding a rate: a short training whose rates rise from very small to far too large.

Source: Smith, Cyclical Learning Rates for Training Neural Networks (WACV 2017), section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from volant.neural.feeding import Feeder, Source, Tensors
from volant.neural.loop import Objective
from volant.neural.optimisers import Optimiser

SMOOTH = 0.9
"""How much of the running mean of the losses each step keeps."""
TOO_MUCH = 4.0
"""Times the least loss at which it ends: the rates are too large by then."""


@dataclass(frozen=True)
class Rates:
    """Factors of the rates that were tried, the smoothed losses, and the factor where the loss fell fastest."""

    factors: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float


def find_rate(
    objective: Objective,
    data: Sequence[torch.Tensor] | Source,
    optimiser: Optimiser,
    *,
    batch: int,
    seed: int = 0,
    low: float = 1e-3,
    high: float = 1e2,
    steps: int = 60,
) -> Rates:
    """Try factors of an optimiser's rates from `low` to `high`; the model and the optimiser are left as they were."""
    source: Any = data if hasattr(data, "fetch") else Tensors(data)
    model = objective.model
    kept = {name: value.detach().clone() for name, value in model.state_dict().items()}
    state = {name: value.clone() for name, value in optimiser.state().items()}
    factors, losses, mean, least = [], [], 0.0, math.inf
    model.train()
    optimiser.scaled(low)
    for step, rows in enumerate(Feeder(source, batch, seed).batches()):
        loss = objective.loss(rows, 0.0)
        mean = SMOOTH * mean + (1.0 - SMOOTH) * float(loss.detach())
        smooth = mean / (1.0 - SMOOTH ** (step + 1))
        if step == steps or not math.isfinite(smooth) or smooth > TOO_MUCH * least:
            break
        least = min(least, smooth)
        factors.append(low * (high / low) ** (step / steps))
        losses.append(smooth)
        loss.backward()
        optimiser.step(0.0)
        optimiser.scaled((high / low) ** (1.0 / steps))
    optimiser.forget()
    model.load_state_dict(kept)
    optimiser.restore(state)
    return Rates(tuple(factors), tuple(losses), _steepest(factors, losses))


def _steepest(factors: Sequence[float], losses: Sequence[float]) -> float:
    """The factor at which the loss falls fastest, past the first few, which say little."""
    first = min(5, max(len(losses) - 2, 0))
    falls = [losses[i] - losses[i + 1] for i in range(first, len(losses) - 1)]
    return factors[first + max(range(len(falls)), key=falls.__getitem__)] if falls else 1.0
