"""The network for tables that is meant to be good: members that share layers, numbers cut into pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from volant.core.protocols import Range
from volant.core.records import Problem
from volant.learners.tabular.network_fit import TabularNetwork
from volant.neural.architecture import Architecture, Training

STEPS = 900
"""Steps that small tables are trained for."""
LEAST_EPOCHS, MOST_EPOCHS = 20, 60


@dataclass(frozen=True)
class NetworkOptions:
    """`members` share all layers of `depth` × `width`; `pieces` is how finely numbers are cut.

    `rate` and `decay` are scaled by the width of each layer. Training ends at `until` of its schedule, or after
    `patience` of it without getting better on held-out rows.
    """

    members: int = 8
    width: int = 128
    depth: int = 2
    pieces: int = 24
    activation: str = "relu"
    one_hot: int = 10
    rate: float = 0.04
    decay: float = 0.02
    dropout: float = 0.1
    batch: int = 128
    epochs: int = 24
    patience: float = 0.25
    average: float = 0.98
    until: float = 1.0


class Network(TabularNetwork):
    """Neural networks that share their layers (TabM), trained by Adam with early stopping on held-out rows."""

    name = "network"
    version = 1
    summary = "a neural network for tables: an ensemble of members that share layers (TabM), by torch"
    options = NetworkOptions

    def portfolio(self, problem: Problem) -> Sequence[NetworkOptions]:
        batch = 32 if problem.rows < 600 else 64 if problem.rows < 1_500 else 128 if problem.rows < 15_000 else 256
        epochs = min(max(STEPS * batch // max(problem.rows, 1), LEAST_EPOCHS), MOST_EPOCHS)
        base = NetworkOptions(batch=batch, epochs=epochs, rate=0.04 if problem.classes else 0.08)
        return (
            base,
            replace(base, depth=3, pieces=8, activation="selu", dropout=0.15),
            replace(base, members=4, width=256, pieces=48, dropout=0.25, decay=0.1),
            replace(base, depth=3, batch=base.batch // 2, rate=base.rate / 2),
            replace(base, depth=1, width=256, dropout=0.3),
            replace(base, members=2, width=256, pieces=0, dropout=0.2, epochs=min(2 * epochs, MOST_EPOCHS)),
        )

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "rate": Range(0.01, 0.2, log=True),
            "dropout": Range(0.0, 0.4),
            "decay": Range(0.005, 0.3, log=True),
            "width": Range(choices=(64, 128, 192, 256)),
            "depth": Range(1, 3, whole=True),
            "members": Range(choices=(2, 4, 8)),
            "pieces": Range(choices=(0, 8, 12, 24)),
        }

    def plan(self, options: NetworkOptions) -> tuple[Architecture, Training]:
        architecture = Architecture(
            layers=(options.width,) * options.depth,
            members=options.members,
            pieces=options.pieces,
            activation=options.activation,
            one_hot=options.one_hot,
        )
        return architecture, Training(
            epochs=options.epochs,
            batch=options.batch,
            patience=options.patience,
            until=options.until,
            rate=options.rate,
            decay=options.decay,
            dropout=options.dropout,
            average=options.average,
        )
