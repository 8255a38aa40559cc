"""Finding a rate: a short training whose rates rise from very small to far too large.

Source: Smith, Cyclical Learning Rates for Training Neural Networks (WACV 2017), section 3.3.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from volant.neural.feeding import Feeder, Source, Tensors
from volant.neural.loop import Objective
from volant.neural.means import Means
from volant.neural.optimisers import Optimiser
from volant.neural.stepping import Stepper

SMOOTH = 0.9
"""How much of the running mean of the losses each step keeps."""
TOO_MUCH = 4.0
"""Times the least loss at which it ends: the rates are too large by then."""
FEWEST = 12
"""Steps below which losses tell nothing about rates; where there is no time for them the first guess stays."""


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
    seconds: float = math.inf,
    means: Means | None = None,
) -> Rates:
    """Try factors of an optimiser's rates from `low` to `high`; the model and the optimiser are left as they were.

    The model stays on the device where it is, which `means` must name. With a deadline there are as many steps as fit
    into `seconds`, as the first one tells.
    """
    source: Any = data if hasattr(data, "fetch") else Tensors(data)
    model = objective.model
    kept = {name: value.detach().clone() for name, value in model.state_dict().items()}
    state = {name: value.clone() for name, value in optimiser.state().items()}
    factors, losses, mean, least, factor = [], [], 0.0, math.inf, low
    stepper = Stepper(objective, optimiser, means or Means(), lambda text: None)
    began = time.monotonic() if seconds < math.inf else None
    model.train()
    optimiser.scaled(low)
    for step, rows in enumerate(Feeder(source, batch, seed).batches()):
        if step == 1 and began is not None:
            steps = min(steps, int(seconds / max(time.monotonic() - began, 1e-9)))
        if step == steps or (step and steps < FEWEST):
            break
        mean = SMOOTH * mean + (1.0 - SMOOTH) * stepper.step(rows, 0.0)
        smooth = mean / (1.0 - SMOOTH ** (step + 1))
        if not math.isfinite(smooth) or smooth > TOO_MUCH * least:
            break
        least = min(least, smooth)
        factors.append(factor)
        losses.append(smooth)
        optimiser.scaled((high / low) ** (1.0 / steps))
        factor *= (high / low) ** (1.0 / steps)
    model.load_state_dict(kept)
    optimiser.restore(state)
    return Rates(tuple(factors), tuple(losses), _steepest(factors, losses))


def _steepest(factors: Sequence[float], losses: Sequence[float]) -> float:
    """The factor at which the loss falls fastest, past the first few, which say little."""
    first = min(5, max(len(losses) - 2, 0))
    falls = [losses[i] - losses[i + 1] for i in range(first, len(losses) - 1)]
    return factors[first + max(range(len(falls)), key=falls.__getitem__)] if falls else 1.0
