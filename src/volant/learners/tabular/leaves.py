"""Trees with many numbers per leaf: the trees name leaves, and a table beside them holds what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volant.bind.onnx import Trees, trees_model
from volant.core.records import Pipeline, Step
from volant.learners.tabular.matrix import Features


@dataclass(frozen=True)
class LeafModel:
    """Trees that give the row of `table` (leaves, k) of each tree; the rows of a table add up to the answer.

    `last` is the step that makes probabilities of the sums, or empty where they are probabilities.
    """

    features: Features
    trees: Trees
    table: np.ndarray
    last: str
    more: Mapping[str, Any]

    def export(self, folder: Path) -> Pipeline:
        from safetensors.numpy import save_file

        (folder / "trees.onnx").write_bytes(trees_model(self.trees))
        save_file({"table": np.ascontiguousarray(self.table, dtype=np.float32)}, folder / "leaves.safetensors")
        sums = "margin" if self.last else "probability"
        steps = [
            *self.features.steps,
            Step("onnx", ("matrix",), "leaf", {"output": "y"}, "trees.onnx"),
            Step("leaf_sums", ("leaf",), sums, {}, "leaves.safetensors"),
        ]
        if self.last:
            steps.append(Step(self.last, ("margin",), "probability"))
        return Pipeline(tuple(steps), {"probability": "probability"})

    def facts(self) -> dict[str, Any]:
        return {**self.more, "features": self.features.width, "nodes": len(self.trees.feature)}
