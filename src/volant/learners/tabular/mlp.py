"""The plain network of the tutorials: fully connected layers, ReLU, Adam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from volant.core.clock import Machine
from volant.core.plugins import missing
from volant.core.protocols import Earlier, Range, Rows, RunContext
from volant.core.records import Cost, Problem, Support
from volant.learners.tabular.features import support
from volant.learners.tabular.network_fit import (
    NetworkModel,
    fit_network,
    keep_network,
    network_cost,
    resume_network,
    settled_until,
)
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


class Mlp:
    """Two hidden layers of 64 units with ReLU, trained by Adam with early stopping on held-out rows."""

    name = "mlp"
    version = 1
    summary = "a plain neural network: fully connected layers with ReLU, by torch"
    options = MlpOptions
    ways = ("warm",)

    def missing(self) -> str:
        return missing("torch", "neural")

    def supports(self, problem: Problem) -> Support:
        return support(problem, missing=self.missing())

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        chosen = self.portfolio(problem)[0]
        return network_cost(problem, machine, _architecture(chosen), _training(chosen))

    def portfolio(self, problem: Problem) -> Sequence[MlpOptions]:
        batch = 128 if problem.rows >= 1_000 else 32
        base = MlpOptions(batch=batch)
        return (base, replace(base, width=128, dropout=0.2), replace(base, width=32, learning_rate=0.01))

    def settle(self, options: MlpOptions, facts: Sequence[Mapping[str, Any]]) -> MlpOptions:
        return replace(options, until=settled_until(facts))

    def space(self, problem: Problem) -> Mapping[str, Range]:
        return {
            "layers": Range(1, 4, whole=True),
            "width": Range(choices=(32, 64, 128, 256)),
            "dropout": Range(0.0, 0.5),
            "learning_rate": Range(0.001, 0.02, log=True),
        }

    def fit(self, data: Rows, problem: Problem, options: MlpOptions, context: RunContext) -> NetworkModel:
        return fit_network(data, problem, _architecture(options), _training(options), context)

    def keep(self, model: NetworkModel, folder: Path) -> None:
        keep_network(model, folder)

    def resume(
        self, earlier: Earlier, data: Rows, problem: Problem, options: MlpOptions, context: RunContext
    ) -> NetworkModel:
        return resume_network(earlier, data, problem, _architecture(options), _training(options), context)


def _architecture(options: MlpOptions) -> Architecture:
    return Architecture((options.width,) * options.layers, one_hot=ONE_HOT)


def _training(options: MlpOptions) -> Training:
    return Training(
        epochs=options.epochs,
        batch=options.batch,
        patience=options.patience / max(options.epochs, 1),
        until=options.until,
        rate=options.learning_rate,
        decay=options.weight_decay,
        dropout=options.dropout,
        by_width=False,
    )
