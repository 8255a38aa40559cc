"""Rows that differ from others in one thing: the base of views that change targets or weights for a fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from volant.core.protocols import Rows
from volant.core.records import Batch, Schema


class View:
    """The same rows. A view overrides what it changes, and `_of`, which makes the like of it from other rows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.digest: str = rows.digest
        self.schema: Schema = rows.schema

    def _of(self, rows: Rows, positions: np.ndarray) -> Rows:
        """The view of `rows`, which are those at `positions` of the ones that are viewed."""
        return View(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.rows.table(columns)

    def batch(self, columns: Sequence[str]) -> Batch:
        return self.rows.batch(columns)

    def weights(self) -> np.ndarray:
        return self.rows.weights()

    def keys(self) -> np.ndarray:
        return self.rows.keys()

    def numbers(self) -> np.ndarray:
        return self.rows.numbers()

    def take(self, positions: np.ndarray) -> Rows:
        return self._of(self.rows.take(positions), positions)

    def part(self, name: str) -> Rows:
        inside = np.isin(self.rows.numbers(), self.rows.part(name).numbers())
        return self.take(np.flatnonzero(inside))


class WithTarget(View):
    """Rows with other targets (n,), canonical values of the target's column."""

    def __init__(self, rows: Rows, name: str, target: pa.Array) -> None:
        super().__init__(rows)
        self.name, self.target = name, target

    def _of(self, rows: Rows, positions: np.ndarray) -> Rows:
        return WithTarget(rows, self.name, self.target.take(pa.array(positions)))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        table = self.rows.table(columns)
        place = table.schema.get_field_index(self.name)
        return table if place < 0 else table.set_column(place, self.name, self.target)

    def batch(self, columns: Sequence[str]) -> Batch:
        given = dict(self.rows.batch(columns))
        if self.name in given:
            given[self.name] = self.target.to_numpy(zero_copy_only=False)
        return given


class WithWeights(View):
    """Rows whose weights are multiplied by factors (n,)."""

    def __init__(self, rows: Rows, factors: np.ndarray) -> None:
        super().__init__(rows)
        self.factors = factors

    def _of(self, rows: Rows, positions: np.ndarray) -> Rows:
        return WithWeights(rows, self.factors[positions])

    def weights(self) -> np.ndarray:
        return np.asarray(self.rows.weights() * self.factors)
