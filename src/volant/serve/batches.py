"""Rows of requests as the arrays that a release takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from volant.core.records import Batch
from volant.runtime.load import Release
from volant.runtime.rows import to_array, type_of
from volant.runtime.steps import floats_of
from volant.serve.reader import Table

Chosen = tuple[Table, Sequence[int] | None]
"""Rows of a request; None stands for all of them."""


class Batches:
    """Makes batches for one release. Numbers that it takes side by side are put there at once."""

    def __init__(self, release: Release) -> None:
        self._names = [field.name for field in release.signature.inputs]
        kinds = {field.name: type_of(field, release.signature) for field in release.signature.inputs}
        numbers = {name for name, kind in kinds.items() if kind.storage in (pa.float64(), pa.bool_())}
        groups = release.runner.groups.items()
        self._groups = [(made, names) for made, names in groups if made not in kinds and numbers.issuperset(names)]
        grouped = {name for _, names in self._groups for name in names}
        alone = release.runner.alone | (kinds.keys() - grouped)
        self._alone = [(name, kind) for name, kind in kinds.items() if name in alone]

    def of(self, chosen: Sequence[Chosen]) -> Batch:
        """Rows of several requests as one batch."""
        if len(chosen) == 1 and chosen[0][1] is None:
            columns = chosen[0][0].columns
        else:
            columns = {name: _cells(chosen, name) for name in self._names}
        batch = {name: to_array(columns[name], kind) for name, kind in self._alone}
        for output, names in self._groups:
            batch[output] = floats_of([columns[name] for name in names])
        return batch


def _cells(chosen: Sequence[Chosen], name: str) -> Sequence[Any]:
    """The cells of a column in the chosen rows."""
    cells: list[Any] = []
    for table, rows in chosen:
        column = table.columns[name]
        cells += column if rows is None else [column[i] for i in rows]
    return cells
