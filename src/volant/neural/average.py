"""The running mean of a model's weights, which is steadier than the weights themselves while rates are high."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Average:
    """An exponential moving average of a model's parameters; with `decay` 0 it is the parameters themselves.

    The first steps count more, so that the beginning is soon forgotten.

    Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging (1992), in its exponential form.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self._parameters = [p for p in model.parameters() if p.requires_grad] if decay else []
        self._decay = decay
        self.restart()

    def restart(self) -> None:
        """Begin anew at the parameters as they are."""
        self._steps = 0
        self._mean = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take note of the parameters after a step."""
        self._steps += 1
        kept = min(self._decay, self._steps / (self._steps + 10.0))
        for mean, parameter in zip(self._mean, self._parameters, strict=True):
            mean.lerp_(parameter, 1.0 - kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with the mean in place of its parameters."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for i, parameter in enumerate(self._parameters):
            parameter.data, self._mean[i] = self._mean[i], parameter.data
