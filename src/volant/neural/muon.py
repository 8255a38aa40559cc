"""Muon: steps that turn a matrix in all directions alike, by orthogonalising its momentum.

Source: Jordan et al., Muon: An optimizer for hidden layers in neural networks (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from volant.neural.optimisers import Group, Stepped
from volant.neural.sharded import like, whole

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic that draws singular values towards one; chosen for its slope at zero (source above)."""


def orthogonal(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The matrix (m, n) with all singular values near one (0.7 to 1.2), by Newton–Schulz iteration."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x.to(torch.bfloat16) if x.is_cuda else x.float()
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(Stepped):
    """For weights with two dimensions or more; those behind the first count as one.

    Args:
        groups: what learns alike.
        momentum: of the gradients, Nesterov's.
        steps: of the iteration.
        unit: hold each weight at the length √rows instead of letting it decay, as networks that normalise what
            comes out of a layer can. Source: Jordan, 94% on CIFAR-10 in 3.29 Seconds (2024), with Muon.
    """

    def __init__(self, groups: Sequence[Group], momentum: float = 0.95, steps: int = 5, unit: bool = False) -> None:
        super().__init__(groups)
        self.momentum, self.iterations, self.unit = momentum, steps, unit
        self._kept: dict[torch.nn.Parameter, dict[str, Any]] = {}

    def _update(self, progress: float) -> None:
        for group in self.groups:
            rate = self.rate(group, progress)
            kept = 1.0 - rate * group.decay * group.decay_schedule(progress)
            for parameter in group.parameters:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, rate, kept)

    def _move(self, parameter: torch.nn.Parameter, gradient: torch.Tensor, rate: float, kept: float) -> None:
        memory = self._kept.setdefault(parameter, {})
        if "momentum" not in memory:
            memory["momentum"] = torch.zeros_like(gradient)
        memory["momentum"].mul_(self.momentum).add_(gradient)
        ahead = whole(gradient.add(memory["momentum"], alpha=self.momentum))
        rows = len(ahead)
        turn = orthogonal(ahead.reshape(rows, -1), self.iterations)
        if self.unit:
            parameter.mul_(rows**0.5 / (parameter.norm() + 1e-12))
        else:
            parameter.mul_(kept)
            rate *= max(1.0, turn.shape[0] / turn.shape[1]) ** 0.5
        parameter.add_(like(turn.view(ahead.shape), parameter), alpha=-rate)

    def _memory(self) -> dict[torch.nn.Parameter, dict[str, Any]]:
        return self._kept
