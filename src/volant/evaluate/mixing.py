"""Predicting mixtures of one row and background rows quickly.

Explaining asks for thousands of rows whose every cell is one of a few dozen. What the pipeline makes of single
columns is therefore made once for those few cells and looked up; only what comes after runs for every mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from volant.core.records import Batch, Pipeline
from volant.evaluate.additive import needed
from volant.runtime.load import Release, Runner


class Mixing:
    """A release's output, on rows that are told by the places of their cells.

    Args:
        release: the release.
        output: the name of its output.
        columns: all columns.
    """

    def __init__(self, release: Release, output: str, columns: Sequence[str]) -> None:
        steps = needed(release.runner.pipeline, release.runner.pipeline.outputs[output])
        owner = {column: column for column in columns}
        for step in steps:
            owners = {owner.get(source) for source in step.inputs}
            if len(owners) == 1 and step.file is None and (only := owners.pop()) is not None:
                owner[step.output] = only
            else:
                owner.pop(step.output, None)  # a column may bear the name of a step
        self._release = release
        self._name = release.runner.pipeline.outputs[output]
        self._rest = {step.output for step in steps if step.output not in owner}
        used = {source for step in steps if step.output in self._rest for source in step.inputs} | {self._name}
        self._owner = {name: owner[name] for name in sorted(used & set(owner))}
        first = tuple(step for step in steps if step.output in owner)
        made = {step.output for step in first}
        self._first = Runner(Pipeline(first, {n: n for n in self._owner if n in made}), release.folder)
        self._plain = [name for name in self._owner if name not in made]

    def over(self, cells: Batch) -> Callable[[Batch], np.ndarray]:
        """The output for rows given as places in `cells`, for each column an array of integers (n,)."""
        table = {**self._first.predict(cells), **{name: cells[name] for name in self._plain}}

        def predict(places: Batch) -> np.ndarray:
            given = {name: table[name][places[column]] for name, column in self._owner.items()}
            return self._release.runner.value(self._name, given, self._rest)

        return predict
