"""Fitting a network to a table: what the learners `network` and `mlp` share, torch included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.boosting import Part
from volant.core.clock import Machine
from volant.core.plugins import missing
from volant.core.protocols import Earlier, Rows, RunContext
from volant.core.records import Column, Cost, Pipeline, Problem, Support
from volant.learners.tabular.boosting import Aim, Hours
from volant.learners.tabular.features import answer, support, usable
from volant.learners.tabular.matrix import Features
from volant.learners.tabular.network_export import network_model
from volant.learners.tabular.network_features import Layout, network_features
from volant.neural.architecture import Architecture, Inputs, Training

TRAINING, EXPORT = 0.8, 1.5
"""Share of a fit's time that goes into training at least: the network must be exported and tried as well, which takes
no more than so many seconds."""
FLOPS, STEP = 4e10, 1.5e-3
"""Floating-point operations per second and core, and seconds that a step takes besides, as measured on small CPUs."""
TYPICAL = 0.35
"""Share of the schedule after which patience ends a training, usually."""
RESUMED, SLOWER = 0.35, 0.3
"""Shares of the epochs and of the rate with which a network goes on from what it learned before."""
IMPORT = 1.5
"""Seconds until torch is there; the first fit of a process pays them."""


@dataclass(frozen=True)
class NetworkModel:
    """A trained network on fitted features, as the ONNX model that is exported."""

    layout: Layout
    network: bytes
    aim: Aim
    training: Mapping[str, Any]
    state: Mapping[str, np.ndarray]
    """Everything that was learned, by the names of torch."""

    def export(self, folder: Path) -> Pipeline:
        (folder / "network.onnx").write_bytes(self.network)
        classes, scale, shift = len(self.aim.problem.classes), self.aim.scale, self.aim.shift
        return answer(self.layout.features, "network.onnx", max(classes, 1), classes=classes, scale=scale, shift=shift)

    def facts(self) -> dict[str, Any]:
        return {"features": self.layout.features.width, **self.training}


def network_cost(problem: Problem, machine: Machine, architecture: Architecture, training: Training) -> Cost:
    """What one fit takes: the products of matrices, forth and back, and an overhead per step."""
    wide = sum(_columns(column, architecture.pieces) for column in usable(problem))
    sizes = [wide, *architecture.layers]
    weights = sum(a * b for a, b in pairwise(sizes))
    passes = TYPICAL * problem.rows * training.epochs
    steps = passes / training.batch + TYPICAL * training.epochs
    work = 6.0 * architecture.members * weights * passes / FLOPS + STEP * steps
    seconds = IMPORT + work / max(machine.cores, 1) ** 0.7
    room = architecture.members * (sum(sizes) * 12 * max(training.batch, 4_096) + 16 * weights)
    return Cost(seconds=seconds, bytes=300_000_000 + 12 * wide * problem.rows + room)


def _columns(column: Column, pieces: int) -> int:
    """Inputs of the network that a column makes, about: many numbers have few values, and fewer pieces for it."""
    return {"timestamp": 4 * pieces, "text": 256, "category": 6, "boolean": 1}.get(column.type, 1 + pieces // 2)


def fit_network(
    data: Rows, problem: Problem, architecture: Architecture, training: Training, context: RunContext
) -> NetworkModel:
    """Fit features and a network on rows whose weight is not zero."""
    hours = Hours(context.seconds)
    data = data.take(np.flatnonzero(data.weights() > 0))
    layout = network_features(data, problem, context.seed)
    aim = Aim.at(data, problem)
    part, held_out = aim.part(data, layout.features.matrix(data)), aim.held_out(context.validation, layout.features)
    trainer = _Trainer(layout.inputs, architecture, training, len(problem.classes), context)
    return NetworkModel(layout, *trainer.run(part, held_out, hours, aim))


def keep_network(model: NetworkModel, folder: Path) -> None:
    """Write down what `resume_network` goes on from."""
    np.savez(folder / "network.npz", **model.state)
    about = {
        "inputs": asdict(model.layout.inputs),
        "features": model.layout.features.record(),
        "shift": model.aim.shift,
        "scale": model.aim.scale,
    }
    (folder / "network.json").write_text(json.dumps(about))


def resume_network(
    earlier: Earlier, data: Rows, problem: Problem, architecture: Architecture, training: Training, context: RunContext
) -> NetworkModel:
    """Go on from the weights that a network ended with, on its features, for a part of the epochs and more slowly."""
    hours = Hours(context.seconds)
    data = data.take(np.flatnonzero(data.weights() > 0))
    about = json.loads((earlier.folder / "network.json").read_bytes())
    with np.load(earlier.folder / "network.npz", allow_pickle=False) as held:
        state = {name: held[name] for name in held.files}
    given = about["inputs"]
    inputs = Inputs(given["numbers"], given["plain"], tuple(given["sizes"]))
    layout = Layout(Features.of(earlier.pipeline, about["features"]), inputs)
    aim = Aim(problem, about["shift"], about["scale"])
    part, held_out = aim.part(data, layout.features.matrix(data)), aim.held_out(context.validation, layout.features)
    slower = replace(training, epochs=max(1, round(RESUMED * training.epochs)), rate=SLOWER * training.rate)
    trainer = _Trainer(inputs, architecture, slower, len(problem.classes), context)
    return NetworkModel(layout, *trainer.run(part, held_out, hours, aim, state))


class TabularNetwork:
    """What the learners of tables by torch share; each says what its options mean by `plan`."""

    ways = ("warm",)
    restarts = True

    def plan(self, options: Any) -> tuple[Architecture, Training]:
        """The network that options ask for, and how it learns."""
        raise AssertionError("each learner has its own options")

    def portfolio(self, problem: Problem) -> Sequence[Any]:
        raise AssertionError("each learner has its own options")

    def missing(self) -> str:
        return missing("torch", "neural")

    def supports(self, problem: Problem) -> Support:
        return support(problem, missing=self.missing())

    def estimate(self, problem: Problem, machine: Machine) -> Cost:
        return network_cost(problem, machine, *self.plan(self.portfolio(problem)[0]))

    def settle(self, options: Any, facts: Sequence[Mapping[str, Any]]) -> Any:
        """The last fit ends where those on folds were best, on the whole."""
        return replace(options, until=max(0.01, round(float(np.mean([f["best"] for f in facts])), 3)))

    def fit(self, data: Rows, problem: Problem, options: Any, context: RunContext) -> NetworkModel:
        return fit_network(data, problem, *self.plan(options), context)

    def keep(self, model: NetworkModel, folder: Path) -> None:
        keep_network(model, folder)

    def resume(self, earlier: Earlier, data: Rows, problem: Problem, options: Any, context: RunContext) -> NetworkModel:
        return resume_network(earlier, data, problem, *self.plan(options), context)


@dataclass(frozen=True)
class _Trainer:
    """What torch is given, and torch itself: it is imported here, when there is something to train."""

    inputs: Inputs
    architecture: Architecture
    training: Training
    classes: int
    context: RunContext

    def run(
        self, part: Part, held_out: Part | None, hours: Hours, aim: Aim, state: Mapping[str, np.ndarray] | None = None
    ) -> tuple[bytes, Aim, dict[str, Any], dict[str, np.ndarray]]:
        """The exported network, its aim, facts about its training, and its state; it begins at `state` if given."""
        from volant.neural.loop import torch_threads
        from volant.neural.table_training import TableRows, network_for, network_of, train

        rows, judges = (
            None if p is None else TableRows.of(p.x, p.y, p.weights, self.classes) for p in (part, held_out)
        )
        assert rows is not None
        with torch_threads(self.context.threads):
            if state is None:
                network = network_for(rows, self.inputs, self.architecture, self.classes, self.context.seed)
            else:
                outputs = max(self.classes, 1)
                network = network_of(state, self.inputs, self.architecture, outputs, self.context.seed)
            found = train(
                network,
                rows,
                judges,
                self.training,
                classes=self.classes,
                seconds=max(hours.left(TRAINING), hours.left(1.0) - EXPORT),
                progress=self.context.progress,
            )
        done = max(found.epochs / self.training.epochs, found.best, 1e-6)
        used = round(found.best / done, 3)
        facts = {"epochs": found.epochs, "best": round(found.best, 4), "used": used, "weights": network.size()}
        low, high = (0.0, 0.0) if self.classes else (float(part.y.min()), float(part.y.max()))
        learned = {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
        return network_model(network, self.classes, low, high), aim, facts, learned
