"""The network of a release as something with gradients, and the pixels that flow into it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Pipeline, Step
from volant.runtime.load import Runner
from volant.runtime.steps import softmax

if TYPE_CHECKING:
    import torch

CHUNK = 64
POOLS = ("GlobalMaxPool", "GlobalAveragePool", "Flatten")
MAPPING = ("Conv", "BatchNormalization", "Relu", "Gelu", "Add", "MaxPool")
"""What ends the maps of a network, and what makes them."""
PLACES = 4
"""Places along a side that maps have at least, if there are such: fewer hardly tell where a network looks."""


@dataclass(frozen=True)
class PictureNetwork:
    """The step of a pipeline that takes pixels, the step that makes them, and what else flows in.

    With several networks it is the first one: gradients are those of one network, not of a mixture.
    """

    pipeline: Pipeline
    folder: Path
    decode: Step
    step: Step

    @staticmethod
    def of(folder: Path) -> PictureNetwork | None:
        """The network of a release, or None where none takes pixels."""
        pipeline = Pipeline.of(json.loads((folder / "pipeline.json").read_bytes()))
        decoders = {step.output: step for step in pipeline.steps if step.op == "decode_image"}
        for step in pipeline.steps:
            if step.op == "onnx" and step.inputs and step.inputs[0] in decoders:
                return PictureNetwork(pipeline, folder, decoders[step.inputs[0]], step)
        return None

    @cached_property
    def replay(self) -> Any:
        """The network by torch.

        Raises:
            Unplayable: it has an operator that is not known.
        """
        from volant.bind.onnx_replay import Replay

        assert self.step.file is not None
        found = Replay((self.folder / self.step.file).read_bytes()).eval()
        for parameter in found.parameters():
            parameter.requires_grad = False
        return found

    def inputs(self, rows: Rows, threads: int = 1) -> tuple[np.ndarray, ...]:
        """What flows into the network for some rows: pixels uint8 (n, height, width, channels) first."""
        steps = []
        for step in self.pipeline.steps:
            if step.output == self.step.output:
                break
            steps.append(step)
        wanted = {f"in{i}": name for i, name in enumerate(self.step.inputs)}
        runner = Runner(Pipeline(tuple(steps), wanted), self.folder, threads)
        columns = sorted({name for step in steps for name in step.inputs} & set(rows.schema.names))
        found = runner.predict(rows.batch(columns))
        return tuple(found[name] for name in wanted)

    def margins(self, pixels: torch.Tensor, others: Sequence[torch.Tensor] = ()) -> torch.Tensor:
        """What the network says of pixels (n, height, width, channels), which may be numbers with a gradient."""
        found: torch.Tensor = self.replay(pixels, *others)
        return found

    def said(self, pixels: np.ndarray, others: Sequence[np.ndarray] = ()) -> np.ndarray:
        """Probabilities (n, C), or the number (n, 1) that the network gives before it is scaled."""
        import torch

        parts = []
        with torch.no_grad():
            for begin in range(0, len(pixels), CHUNK):
                rows = slice(begin, begin + CHUNK)
                given = [torch.from_numpy(np.ascontiguousarray(x[rows])) for x in (pixels, *others)]
                parts.append(self.margins(given[0], given[1:]).numpy())
        margins = np.concatenate(parts)
        return softmax(margins) if margins.shape[1] > 1 else margins

    def features(self, pixels: np.ndarray, others: Sequence[np.ndarray] = ()) -> np.ndarray:
        """What the last layer sees of pictures, (n, width)."""
        import torch

        name = [step for step in self.replay.steps if step[0] in ("Gemm", "MatMul")][-1][1][0]
        parts = []
        with torch.no_grad():
            for begin in range(0, len(pixels), CHUNK):
                rows = slice(begin, begin + CHUNK)
                given = [torch.from_numpy(np.ascontiguousarray(x[rows])) for x in (pixels, *others)]
                found = self.replay.played(given, (name,))[name].flatten(1).numpy()
                parts.append(found[: len(given[0])])
        return np.concatenate(parts)

    def last_map(self, given: Sequence[torch.Tensor]) -> str | None:
        """The name of the last maps (n, channels, height, width) that have places to tell apart, or None.

        Maps of small pictures shrink to a few places, or to one, before they become one number each; then those
        before them are taken.
        """
        last = next((step for step in self.replay.steps if step[0] in POOLS), None)
        if last is None:
            return None
        before = self.replay.steps[: self.replay.steps.index(last)]
        names = [step[2][0] for step in before if step[0] in MAPPING]
        played = self.replay.played([x[:1] for x in given], names)
        wide = [name for name in names if played[name].ndim == 4 and min(played[name].shape[2:]) >= PLACES]
        return wide[-1] if wide else str(last[1][0])
