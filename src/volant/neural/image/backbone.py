"""Pretrained networks as bodies: frozen features with a head on top first, then all of it at small rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from volant.bind import transformers
from volant.core.progress import Progress
from volant.neural.image.design import Recipe
from volant.neural.image.layers import Pixels
from volant.neural.image.network import ImageNetwork
from volant.neural.image.objective import CLASSES, LABELS, losses
from volant.neural.image.rows import ImageRows
from volant.neural.image.training import Circumstances, train
from volant.neural.loop import Loop, Plan, Trained
from volant.neural.optimisers import Adam, Group
from volant.neural.schedules import one_cycle

CHUNK = 32
HEAD_EPOCHS, HEAD_STEPS, HEAD_BATCH, HEAD_RATE = 100, 500, 256, 3e-3
"""Of a head: epochs, steps at the least (of few rows an epoch is one), rows of a batch, and the rate."""
DEEPER = 0.75
"""What the rate of each layer is multiplied with, from the head down."""


class Backbone(nn.Module):
    """From scaled pictures (n, 3, height, width) to features (n, width).

    Of maps it is their mean; of tokens the first one and the mean of the others.
    """

    def __init__(self, model: nn.Module, channels: int, height: int, width: int) -> None:
        super().__init__()
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0  # it draws from dice that trainings share
        self.model, self.grey = model, channels == 1
        model.eval()
        with torch.no_grad():
            self.width = int(self.forward(torch.zeros(1, channels, height, width)).shape[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.grey:
            x = x.expand(-1, 3, -1, -1)
        found = self.model(pixel_values=x).last_hidden_state
        if found.ndim == 4:
            return found.mean(dim=(2, 3))
        return torch.cat([found[:, 0], found[:, 1:].mean(dim=1)], dim=1)

    def train(self, mode: bool = True) -> Backbone:
        """Statistics of normalisation stay those it was trained with."""
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()
        return self


def pretrained(source: str, channels: int, height: int, width: int) -> tuple[Pixels, Backbone]:
    """The body of a source, and the scaling of pixels that it was trained with."""
    found = transformers.pretrained(source)
    mean, spread = (np.asarray(v) * 255.0 for v in (found.mean, found.spread))
    if channels == 1:
        mean, spread = (np.full(1, v.mean()) for v in (mean, spread))
    return Pixels(mean.tolist(), spread.tolist()), Backbone(found.model, channels, height, width)


def _chunks(rows: ImageRows) -> Iterator[np.ndarray]:
    for begin in range(0, len(rows), CHUNK):
        yield np.arange(begin, min(begin + CHUNK, len(rows)))


def features(network: ImageNetwork, rows: ImageRows) -> torch.Tensor:
    """What the body makes of each picture, (n, width)."""
    network.eval()
    with torch.inference_mode():
        found = [network.body(network.pixels(rows.batch(places)[0])) for places in _chunks(rows)]
    return torch.cat(found).clone()


class _HeadObjective:
    """The loss of a head on features that stay as they are."""

    def __init__(self, network: ImageNetwork, kind: str, held_out: Sequence[torch.Tensor] | None) -> None:
        parts = [network.head] if network.beside is None else [network.head, network.beside]
        self.model: nn.Module = nn.ModuleList(parts)
        self.network, self.kind, self.held_out = network, kind, held_out

    def said(self, x: torch.Tensor, beside: Sequence[torch.Tensor]) -> torch.Tensor:
        if self.network.beside is not None:
            x = torch.cat([x, self.network.beside(beside[0])], dim=1)
        found: torch.Tensor = self.network.head(x)
        return found

    def loss(self, batch: Sequence[torch.Tensor], progress: float) -> torch.Tensor:
        x, targets, weights, *beside = batch
        return (weights * losses(self.said(x, beside), targets, self.kind, 0.0)).mean()

    def judge(self) -> float | None:
        return None if self.held_out is None else float(self.loss(self.held_out, 1.0))


def train_head(
    network: ImageNetwork,
    rows: ImageRows,
    held_out: ImageRows | None,
    kind: str,
    seconds: float,
    progress: Progress,
    *,
    begun: bool = False,
) -> Trained:
    """Train the head, and what is beside the pictures, on features that are computed once.

    Unless it was `begun`, the head starts at how frequent the classes are.
    """

    def given(part: ImageRows) -> list[torch.Tensor]:
        others = [] if part.beside is None else [part.beside]
        return [features(network, part), part.targets, part.weights, *others]

    data = given(rows)
    center, spread = data[0].mean(dim=0), data[0].std(dim=0, unbiased=False).clamp_min(1e-4)
    judges = None if held_out is None else given(held_out)
    for part in (data, judges) if judges is not None else (data,):
        part[0] = (part[0] - center) / spread
    objective = _HeadObjective(network, kind, judges)
    width = data[0].shape[1]
    with torch.no_grad():
        if begun:  # it takes scaled features while it learns
            network.head.bias += network.head.weight[:, :width] @ center
            network.head.weight[:, :width] *= spread
        else:
            network.head.weight.zero_()
            network.head.bias.copy_(_frequencies(rows, kind))
    cycle, batch = one_cycle(), min(HEAD_BATCH, len(rows))
    optimiser = Adam([Group(tuple(objective.model.parameters()), HEAD_RATE, 0.05, cycle)])
    epochs = max(HEAD_EPOCHS, math.ceil(HEAD_STEPS * batch / len(rows)))
    plan = Plan(epochs, batch, seconds=seconds, patience=0.3)
    found = Loop(objective, data, optimiser, plan, network.dice, progress).run()
    with torch.no_grad():  # the head takes features as they are from now on
        network.head.weight[:, :width] /= spread
        network.head.bias -= network.head.weight[:, :width] @ center
    return found


def _frequencies(rows: ImageRows, kind: str) -> torch.Tensor:
    """What a head says of pictures that it knows nothing about: the logarithm of how frequent each class is."""
    held = (rows.targets * rows.weights[:, None]).sum(dim=0)
    if kind == CLASSES:
        return torch.log((held + 0.5) / (held + 0.5).sum())
    if kind == LABELS:
        there, absent = (((rows.targets == said) * rows.weights[:, None]).sum(dim=0) for said in (1.0, 0.0))
        return torch.log((there + 0.5) / (absent + 0.5))
    return torch.zeros_like(held)


def fine_tune(
    network: ImageNetwork,
    rows: ImageRows,
    held_out: ImageRows | None,
    kind: str,
    recipe: Recipe,
    at: Circumstances,
    adapters: int = 0,
) -> Trained:
    """Train all layers, the deeper the slower, or with `adapters` low-rank additions of that rank to them."""
    body = network.body
    if not adapters:
        return train(network, rows, held_out, kind, replace(recipe, deeper=DEEPER), at)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(network.dice.initial_seed() & 0x7FFFFFFF)
        body.model = transformers.with_adapters(body.model, adapters)
    found = train(network, rows, held_out, kind, recipe, at)
    body.model = transformers.merged(body.model)
    return found
