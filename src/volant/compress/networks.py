"""The neural networks of a release: where they stand in its pipeline, and what flows into them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volant.bind.onnx_quantise import operators
from volant.core.protocols import Rows
from volant.core.records import Pipeline, Step
from volant.runtime.load import Runner

LAYERS = {"Conv", "MatMul", "Gemm"}
LEAST_BYTES = 20_000
"""Networks below this size are not worth making smaller."""
CHUNK = 512


@dataclass(frozen=True)
class Network:
    """A step of a pipeline that runs a network, and the bytes of its model."""

    step: Step
    model: bytes

    @property
    def file(self) -> str:
        """The name of its file."""
        assert self.step.file is not None
        return self.step.file

    @property
    def convolves(self) -> bool:
        """Whether it is made of convolutions."""
        return "Conv" in operators(self.model) and "Softmax" not in operators(self.model)


def networks(pipeline: Pipeline, folder: Path) -> list[Network]:
    """The networks of a pipeline, none twice; trees and lines are left alone."""
    found: dict[str, Network] = {}
    for step in pipeline.steps:
        if step.op != "onnx" or step.file is None or step.file in found:
            continue
        model = (folder / step.file).read_bytes()
        kinds = operators(model)
        if len(model) >= LEAST_BYTES and kinds & LAYERS and "TreeEnsemble" not in kinds and len(kinds) > 1:
            found[step.file] = Network(step, model)
    return list(found.values())


def inputs(pipeline: Pipeline, folder: Path, network: Network, rows: Rows, threads: int) -> tuple[np.ndarray, ...]:
    """What flows into a network for some rows, one array per input."""
    steps = []
    for step in pipeline.steps:
        if step.output == network.step.output:
            break
        steps.append(step)
    wanted = {f"in{i}": name for i, name in enumerate(network.step.inputs)}
    runner = Runner(Pipeline(tuple(steps), wanted), folder, threads)
    columns = sorted({name for step in steps for name in step.inputs} & set(rows.schema.names))
    parts = [runner.predict(chunk.batch(columns)) for chunk in _chunks(rows)]
    return tuple(np.concatenate([part[name] for part in parts]) for name in wanted)


def _chunks(rows: Rows) -> Iterator[Rows]:
    for begin in range(0, len(rows), CHUNK):
        yield rows.take(np.arange(begin, min(begin + CHUNK, len(rows))))
