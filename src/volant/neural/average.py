"""The running mean of a model's weights, which is steadier than the weights themselves while rates are high."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from volant.neural.sharded import like, whole


class Average:
    """An exponential moving average of a model's parameters; with `decay` 0 it is the parameters themselves.

    Numbers that layers keep of what they saw (the means of a batch normalisation) are averaged with them.
    The first steps count more, so that the beginning is soon forgotten.

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging (1992), in its exponential form.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        followed = [p for p in model.parameters() if p.requires_grad]
        followed += [b for b in model.buffers() if b.is_floating_point() and b.ndim]
        self._followed: list[torch.Tensor] = followed if decay else []
        self._decay = decay
        self.restart()

    def restart(self) -> None:
        """Begin anew at the parameters as they are."""
        self._steps = 0
        self._mean = [value.detach().clone() for value in self._followed]

    @torch.no_grad()
    def update(self) -> None:
        """Take note of the parameters after a step."""
        self._steps += 1
        kept = min(self._decay, self._steps / (self._steps + 10.0))
        if self._mean:
            torch._foreach_lerp_(self._mean, [value.detach() for value in self._followed], 1.0 - kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with the mean in place of its parameters."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for i, value in enumerate(self._followed):
            value.data, self._mean[i] = self._mean[i], value.data

    def state(self) -> dict[str, torch.Tensor]:
        """All that it needs to go on, as tensors by name."""
        return {"steps": torch.tensor(self._steps), **{str(i): whole(mean) for i, mean in enumerate(self._mean)}}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a state."""
        self._steps = int(state["steps"])
        self._mean = [like(state[str(i)], value) for i, value in enumerate(self._followed)]
