"""One step of training: a batch in as many pieces as memory bears, its gradients clipped, the parameters moved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import torch

from volant.neural.feeding import Batch
from volant.neural.means import Means
from volant.neural.optimisers import Optimiser
from volant.neural.precision import Scale, reckoned_in


class Loses(Protocol):
    """What a step needs of an objective."""

    model: torch.nn.Module

    def loss(self, batch: Sequence[torch.Tensor], progress: float) -> torch.Tensor: ...


class Stepper:
    """Takes steps; where memory runs out it cuts batches in halves from then on, and says so."""

    def __init__(self, objective: Loses, optimiser: Optimiser, means: Means, say: Callable[[str], None]) -> None:
        self.objective, self.optimiser, self.means, self.say = objective, optimiser, means, say
        self.pieces = means.pieces
        self.scale = Scale(means.kind)

    def step(self, batch: Batch, progress: float) -> float:
        """The mean loss of the batch; there was no step where it is not finite."""
        batch = tuple(values.to(self.means.crew.device, non_blocking=True) for values in batch)
        while True:
            try:
                value = self._gradients(batch, progress)
                break
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as cause:
                self._halve(cause, len(batch[0]))
        value = self.means.crew.mean(value)
        if not math.isfinite(value):
            self.optimiser.forget()
            return value
        if not self.scale.undo(self.optimiser.parameters()):
            self.optimiser.forget()
            return value
        if self.means.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.optimiser.parameters(), self.means.clip)
        self.optimiser.step(progress)
        return value

    def _gradients(self, batch: Batch, progress: float) -> float:
        total, rows = 0.0, len(batch[0])
        pieces = [values.tensor_split(min(self.pieces, rows)) for values in batch]
        crew, model = self.means.crew, self.objective.model
        for place, piece in enumerate(zip(*pieces, strict=True)):
            last = place == len(pieces[0]) - 1
            with nullcontext() if last else crew.apart(model):
                with reckoned_in(self.means.kind, crew.device):
                    loss = self.objective.loss(piece, progress)
                share = len(piece[0]) / rows
                value = float(loss.detach())
                total += share * value
                if not math.isfinite(value) and crew.size == 1:
                    return value
                (loss if share == 1.0 and self.scale.value == 1.0 else loss * (share * self.scale.value)).backward()
        return total

    def _halve(self, cause: BaseException, rows: int) -> None:
        """Cut batches into smaller pieces if memory ran out and they can be smaller.

        Raises:
            RuntimeError: whatever else happened.
        """
        ran_out = isinstance(cause, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(cause)
        if not ran_out or self.pieces >= rows:
            raise cause
        self.optimiser.forget()
        self.pieces *= 2
        if self.means.crew.device.type == "cuda":
            torch.cuda.empty_cache()
        self.say(f"memory ran out: batches of {rows:,} rows go on in {self.pieces} pieces")

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"pieces": self.pieces, "scale": self.scale.value}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.pieces, self.scale.value = int(state["pieces"]), float(state["scale"])
