"""Training a network for tables: its rows, its loss, and the groups that its parameters learn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from volant.core.progress import Progress
from volant.neural.architecture import Architecture, Inputs, Training
from volant.neural.loop import Loop, Plan, Trained
from volant.neural.optimisers import Adam, Group
from volant.neural.precision import quick_kind
from volant.neural.schedules import Schedule, cosine, flat_cosine, warm
from volant.neural.table_network import Pieces, TableNetwork, pieces_of, squashed

MOST_CUT = 50_000
"""Rows that the pieces of numbers are cut on, at the most."""
CHUNK = 4_096
LOST = 0.05
"""Share of embedded codes that are taken for missing in training, so that unseen categories have an answer.

Codes with one column each need none: without their column a row is a mean one. It would cost accuracy, too.
"""
WARM = 0.05
"""Share of the training in which rates rise."""


@dataclass(frozen=True)
class TableRows:
    """A matrix float32 (n, width), class indices or numbers (n,), and weights (n,) whose mean is one."""

    x: torch.Tensor
    y: torch.Tensor
    weights: torch.Tensor

    @staticmethod
    def of(x: np.ndarray, y: np.ndarray, weights: np.ndarray, classes: int) -> TableRows:
        """Rows from arrays; `classes` is 0 where the targets are numbers."""
        target = torch.from_numpy(y.astype(np.int64 if classes else np.float32))
        share = torch.from_numpy((weights / weights.mean()).astype(np.float32))
        return TableRows(torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)), target, share)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        return self.x, self.y, self.weights


class TableObjective:
    """The mean log-loss or squared error of all members in training; of what they say together when judged."""

    def __init__(self, network: TableNetwork, classes: int, held_out: TableRows | None, dropout: float) -> None:
        self.model = network
        self.classes, self.held_out, self.dropout = classes, held_out, dropout

    def loss(self, batch: Sequence[torch.Tensor], progress: float) -> torch.Tensor:
        x, y, weights = batch
        self.model.dropout = self.dropout * flat_cosine(progress)
        out = self.model(self._with_losses(x))
        if not self.classes:
            return (weights * (out[..., 0] - y) ** 2).mean()
        losses = nn.functional.cross_entropy(out.flatten(0, 1), y.repeat(len(out)), reduction="none")
        return (weights * losses.view(len(out), -1)).mean()

    def _with_losses(self, x: torch.Tensor) -> torch.Tensor:
        """The batch, which is its own copy, with some of the codes to be embedded replaced by that of the missing."""
        places = self.model.code_places
        if len(places):
            codes = x[:, places]
            x[:, places] = torch.where(
                torch.rand(codes.shape, generator=self.model.dice) < LOST, self.model.missing_codes, codes
            )
        return x

    def judge(self) -> float | None:
        rows = self.held_out
        if rows is None:
            return None
        said = torch.cat([averaged(self.model(part), self.classes) for part in rows.x.split(CHUNK)])
        if self.classes:
            losses = -said.gather(1, rows.y[:, None])[:, 0].clamp_min(1e-9).log()
        else:
            losses = (said[:, 0] - rows.y) ** 2
        return float((rows.weights * losses).mean())


def averaged(outputs: torch.Tensor, classes: int) -> torch.Tensor:
    """What members (members, n, outputs) say together: mean probabilities (n, outputs), or the mean number."""
    return outputs.softmax(dim=-1).mean(dim=0) if classes else outputs.mean(dim=0)


def network_for(rows: TableRows, inputs: Inputs, architecture: Architecture, classes: int, seed: int) -> TableNetwork:
    """A fresh network whose first answers are the frequencies of the classes, or the mean.

    It draws from a generator of its own, begun at `seed`; so does its training.
    """
    few = rows.x[:: max(1, len(rows.x) // MOST_CUT), : inputs.numbers]
    pieces = pieces_of(squashed(few).numpy(), architecture.pieces)
    return TableNetwork(inputs, architecture, pieces, _start(rows, classes), torch.Generator().manual_seed(seed))


def network_of(
    state: Mapping[str, np.ndarray], inputs: Inputs, architecture: Architecture, outputs: int, seed: int
) -> TableNetwork:
    """A network with the weights that another one ended with."""
    pieces = Pieces(state["column"], state["low"], state["slope"], state["middle"])
    network = TableNetwork(inputs, architecture, pieces, np.zeros(outputs), torch.Generator().manual_seed(seed))
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
    return network


def _start(rows: TableRows, classes: int) -> np.ndarray:
    y, weights = rows.y.numpy(), rows.weights.numpy().astype(np.float64)
    if not classes:
        return np.array([np.average(y, weights=weights)])
    counts = np.bincount(y, weights=weights, minlength=classes) + 1.0 / classes
    return np.asarray(np.log(counts / counts.sum()))


def train(
    network: TableNetwork,
    rows: TableRows,
    held_out: TableRows | None,
    training: Training,
    *,
    classes: int,
    seconds: float,
    progress: Progress,
) -> Trained:
    """Train a network; it is left with the weights that did best on the held-out rows, or with the last ones."""
    if network.architecture.members > 1:
        network.kind = quick_kind()
    objective = TableObjective(network, classes, held_out, training.dropout)
    plan = Plan(training.epochs, training.batch, training.until, training.patience, seconds, training.average)
    return Loop(objective, rows.tensors(), _optimiser(network, training), plan, network.dice, progress).run()


def _optimiser(network: TableNetwork, training: Training) -> Adam:
    """Adam with a rate for each layer by its width."""
    falling, rate = warm(cosine, WARM), training.rate
    layers = [_layer(w, w.shape[0], training, falling) for w in network.weights]
    adapters = () if network.adapter is None else (network.adapter,)
    return Adam(
        [
            *layers,
            _layer(network.heads, network.heads.shape[1], training, falling),
            Group((*network.biases, network.head_biases), 0.1 * rate, rate_schedule=falling),
            Group(adapters, rate, rate_schedule=falling),
            Group(tuple(network.tables), 0.5 * rate, rate_schedule=falling),
        ],
        betas=(0.9, 0.95),
    )


def _layer(weight: nn.Parameter, inputs: int, training: Training, schedule: Schedule) -> Group:
    root = float(max(inputs, 1)) ** 0.5 if training.by_width else 1.0
    return Group((weight,), training.rate / root, training.decay * root, schedule, flat_cosine)
