"""Optimisers whose groups of parameters each follow schedules of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from volant.neural.schedules import Schedule, constant


@dataclass(frozen=True)
class Group:
    """Parameters that learn alike: `rate` and `decay` are multiplied by their schedules as training goes on."""

    parameters: tuple[torch.nn.Parameter, ...]
    rate: float
    decay: float = 0.0
    rate_schedule: Schedule = constant
    decay_schedule: Schedule = constant


class Adam:
    """Adam with decoupled weight decay (AdamW), one fused update per group.

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization (ICLR 2019).
    """

    def __init__(self, groups: Sequence[Group], betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.groups = tuple(group for group in groups if group.parameters)
        self.damping = 1.0
        listed = [{"params": list(g.parameters), "lr": g.rate, "weight_decay": g.decay} for g in self.groups]
        self._torch = torch.optim.AdamW(listed, betas=betas, fused=True)

    def step(self, progress: float) -> None:
        """Update the parameters by their gradients, at this progress in [0, 1], and forget the gradients."""
        for group, settings in zip(self.groups, self._torch.param_groups, strict=True):
            settings["lr"] = self.damping * group.rate * group.rate_schedule(progress)
            settings["weight_decay"] = group.decay * group.decay_schedule(progress)
        self._torch.step()
        self.forget()

    def forget(self) -> None:
        """Drop the gradients."""
        self._torch.zero_grad(set_to_none=True)

    def calm(self) -> None:
        """Start afresh at half the rate, after steps that led to numbers which are none."""
        self.damping *= 0.5
        self._torch.state.clear()
        self.forget()
