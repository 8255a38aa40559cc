"""A matrix of features: steps that are fitted here and run by the runtime, in training as in serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Batch, Pipeline, Step
from volant.learners.tabular.statistics import Statistics
from volant.runtime.load import Runner


@dataclass
class Features:
    """Fitted steps that end in the value `matrix`, float32 (n, width).

    `categorical` are the positions of columns that hold codes of categories. `learned` are the places whose
    values were learned from the targets of the rows the steps were fitted on: `train` has them out of fold.
    `signs` are the positions that predictions must rise (1) or fall (-1) with. `codes` are the names of the category
    columns that were encoded, and how many codes each has.
    """

    steps: list[Step] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    width: int = 0
    categorical: list[int] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    learned: list[tuple[int, Statistics]] = field(default_factory=list)
    signs: dict[int, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)

    def add(self, op: str, source: str, width: int, **params: object) -> str:
        """Append a step whose value becomes a part of the matrix."""
        name = self.through(op, source, **params)
        self.parts.append(name)
        self.width += width
        return name

    def through(self, op: str, *sources: str, **params: object) -> str:
        """Append a step; gives the name of its value."""
        name = f"{op}:{'|'.join(sources)}"
        self.steps.append(Step(op, sources, name, params))
        return name

    def encoded(self, name: str, words: list[str]) -> str:
        """Append the step that gives a category column's codes: all words that are not listed share the last one."""
        self.codes[name] = len(words) + 1
        return self.through("encode", name, vocabulary=words, other=len(words))

    def record(self) -> dict[str, object]:
        """What a later fit needs to know of them besides their steps."""
        signs = {str(place): sign for place, sign in self.signs.items()}
        return {"columns": list(self.columns), "width": self.width, "signs": signs, "categorical": self.categorical}

    @staticmethod
    def of(pipeline: Pipeline, record: Mapping[str, Any]) -> Features:
        """The features of an exported model, from its pipeline and their record."""
        names = [step.output for step in pipeline.steps]
        steps = list(pipeline.steps[: names.index("matrix") + 1])
        signs = {int(place): int(sign) for place, sign in record["signs"].items()}
        columns, categorical = tuple(record["columns"]), list(record["categorical"])
        return Features(steps, width=int(record["width"]), columns=columns, signs=signs, categorical=categorical)

    def finish(self) -> Features:
        """Append the step that puts the parts side by side."""
        self.steps.append(Step("stack", tuple(self.parts), "matrix"))
        return self

    def matrix(self, data: Rows) -> np.ndarray:
        """The matrix of these rows, float32 (n, width), by the runtime's own steps."""
        return self.run(data.batch(self.columns))

    def train(self, data: Rows) -> np.ndarray:
        """The matrix of the rows that the steps were fitted on: what was learned from targets is out of fold."""
        x = self.matrix(data)
        for place, learned in self.learned:
            x[:, place : place + learned.out_of_fold.shape[1]] = learned.out_of_fold
        return x

    def run(self, batch: Batch) -> np.ndarray:
        """The matrix of a batch of canonical columns."""
        runner = Runner(Pipeline(tuple(self.steps), {"matrix": "matrix"}), Path())
        return runner.predict(batch)["matrix"]

    def codes_of(self, data: Rows, value: str) -> np.ndarray:
        """The codes (n,) of a fitted step's value for rows, NaN where missing."""
        runner = Runner(Pipeline(tuple(self.steps), {"code": value}), Path())
        return runner.predict(data.batch(self.columns))["code"][:, 0]
