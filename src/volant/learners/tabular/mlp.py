"""The plain network of the tutorials: fully connected layers, ReLU, Adam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from volant.core.protocols import Range
from volant.core.records import Problem
from volant.learners.tabular.network_fit import TabularNetwork
from volant.neural.architecture import Architecture, Training

ONE_HOT = 30
"""Categories up to which a column becomes one column per category; more of them are embedded."""


@dataclass(frozen=True)
class MlpOptions:
    """Hidden layers of `width` units; `patience` counts epochs without getting better on held-out rows."""

    layers: int = 2
    width: int = 64
    dropout: float = 0.0
    learning_rate: float = 0.005
    weight_decay: float = 0.01
    epochs: int = 60
    batch: int = 128
    patience: int = 15
    until: float = 1.0


class Mlp(TabularNetwork):
    """Two hidden layers of 64 units with ReLU, trained by Adam with early stopping on held-out rows."""

    name = "mlp"
    version = 1
    summary = "a plain neural network: fully connected layers with ReLU, by torch"
    options = MlpOptions

    def portfolio(self, problem: Problem) -> Sequence[MlpOptions]:
        batch = 128 if problem.rows >= 1_000 else 32
        base = MlpOptions(batch=batch)
        return (base, replace(base, width=128, dropout=0.2), replace(base, width=32, learning_rate=0.01))

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "layers": Range(1, 4, whole=True),
            "width": Range(choices=(32, 64, 128, 256)),
            "dropout": Range(0.0, 0.5),
            "learning_rate": Range(0.001, 0.02, log=True),
        }

    def plan(self, options: MlpOptions) -> tuple[Architecture, Training]:
        architecture = Architecture((options.width,) * options.layers, one_hot=ONE_HOT)
        return architecture, Training(
            epochs=options.epochs,
            batch=options.batch,
            patience=options.patience / max(options.epochs, 1),
            until=options.until,
            rate=options.learning_rate,
            decay=options.weight_decay,
            dropout=options.dropout,
            by_width=False,
        )
