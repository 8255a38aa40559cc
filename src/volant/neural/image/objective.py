"""What networks for pictures are trained for: classes, several labels at once, or a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from volant.neural.image.network import ImageNetwork
from volant.neural.image.rows import ImageRows

CHUNK = 256
CLASSES, LABELS, NUMBER = "classes", "labels", "number"


class ImageObjective:
    """The mean loss of a batch, and that of held-out rows.

    Args:
        network: what is trained.
        kind: `classes` (one of them), `labels` (each present or not) or `number`.
        held_out: rows that judge, if there are any.
        smoothing: share of the target that is spread over all classes.
            Source: Szegedy et al., Rethinking the Inception Architecture (CVPR 2016).
        device: where held-out rows are brought to.
        attacked: how far pixels are moved against the network before it learns from them, of 255.
            Source: Wong et al., Fast is better than free (ICLR 2020).
    """

    def __init__(
        self,
        network: ImageNetwork,
        kind: str,
        held_out: ImageRows | None = None,
        smoothing: float = 0.0,
        device: torch.device | None = None,
        attacked: float = 0.0,
    ) -> None:
        self.model: nn.Module = network
        self.compiled: Callable[..., torch.Tensor] | None = None
        self.attacked, self.dice = attacked, network.dice
        self.kind, self.held_out, self.smoothing = kind, held_out, smoothing
        self.device = device or torch.device("cpu")
        self._told: dict[str, float] = {}

    def loss(self, batch: Sequence[torch.Tensor], progress: float) -> torch.Tensor:
        pictures, targets, weights, *beside = batch
        if self.attacked:
            pictures = self._moved(pictures, targets, beside)
        through = self.model if self.compiled is None else self.compiled
        said = through(pictures, *beside).float()
        return (weights * losses(said, targets, self.kind, self.smoothing)).mean()

    def _moved(self, pictures: torch.Tensor, targets: torch.Tensor, beside: list[torch.Tensor]) -> torch.Tensor:
        """Pictures that the network finds harder: one step against it, from a place nearby that is drawn."""
        near = (2.0 * torch.rand(pictures.shape, generator=self.dice) - 1.0).to(pictures.device) * self.attacked
        by = near.requires_grad_(True)
        loss = losses(self.model(pictures.float() + by, *beside).float(), targets, self.kind, 0.0).sum()
        (slope,) = torch.autograd.grad(loss, by)
        step = (by.detach() + 1.25 * self.attacked * slope.sign()).clamp(-self.attacked, self.attacked)
        return (pictures.float() + step).clamp(0.0, 255.0)

    def judge(self) -> float | None:
        rows = self.held_out
        if rows is None or not len(rows):
            return None
        total, right = 0.0, 0.0
        for begin in range(0, len(rows), CHUNK):
            batch = rows.batch(np.arange(begin, min(begin + CHUNK, len(rows))))
            pictures, targets, weights, *beside = (values.to(self.device) for values in batch)
            said = self.model(pictures, *beside).float()
            total += float((weights * losses(said, targets, self.kind, 0.0)).sum())
            right += float((said.argmax(dim=1) == targets.argmax(dim=1)).sum())
        self._told = {"accuracy": right / len(rows)} if self.kind == CLASSES else {}
        return total / float(rows.weights.sum())

    def told(self) -> Mapping[str, float]:
        """Metrics beside the loss, as it was last judged."""
        return self._told


def losses(said: torch.Tensor, targets: torch.Tensor, kind: str, smoothing: float) -> torch.Tensor:
    """The loss of each row (n,), of outputs (n, k) and targets (n, k); labels that nobody has said teach nothing."""
    if kind == CLASSES:
        return nn.functional.cross_entropy(said, targets, reduction="none", label_smoothing=smoothing)
    if kind == LABELS:
        known = ~targets.isnan()
        spread = torch.where(known, targets, 0.0) * (1.0 - smoothing) + 0.5 * smoothing
        each = nn.functional.binary_cross_entropy_with_logits(said, spread, reduction="none")
        return torch.where(known, each, 0.0).mean(dim=1)
    return ((said - targets) ** 2).mean(dim=1)
