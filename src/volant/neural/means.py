"""With what means a model trains: by whom, in which precision, in how many pieces, and what is kept of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from volant.neural.crew import Alone, Crew
from volant.neural.curves import Curves

SECONDS = 30.0
"""Between two checkpoints, at the least. Their times change nothing but what is lost when a process is killed."""


@dataclass
class Keeper:
    """Where checkpoints go, and when: every so many steps, or seconds where steps are not counted."""

    path: Path
    seconds: float = SECONDS
    steps: int | None = None
    _last: float = field(default_factory=time.monotonic)

    def is_due(self, steps: int) -> bool:
        """Whether it is time for another one, after this step."""
        if self.steps is not None:
            return steps % self.steps == 0
        if time.monotonic() - self._last < self.seconds:
            return False
        self._last = time.monotonic()
        return True


@dataclass(frozen=True)
class Means:
    """What a training has at hand.

    Attributes:
        crew: the processes that train together, and the device of this one.
        kind: in which kind of number products are reckoned; float32 where nothing is quicker.
        pieces: parts that each batch is cut into, whose gradients are summed up: for batches that do not fit.
        clip: the length that gradients are cut to; none for any length.
        keeper: where checkpoints go; none where a training is not worth them.
        curves: where the curves of learning are drawn.
    """

    crew: Crew = field(default_factory=Alone)
    kind: torch.dtype = torch.float32
    pieces: int = 1
    clip: float | None = None
    keeper: Keeper | None = None
    curves: Curves | None = None
