"""Rows in memory: the smallest thing that implements `volant.core.protocols.Rows`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from volant.core.ids import digest
from volant.core.plugins import column_type
from volant.core.records import PARTS, Batch, Schema


@dataclass(eq=False)
class MemoryRows:
    """A table of canonical columns with weights; every fifth row judges, every fifth tests.

    `places` are the numbers of the rows that a view holds.
    """

    schema: Schema
    columns: pa.Table
    weight: np.ndarray
    places: np.ndarray

    @staticmethod
    def of(schema: Schema, columns: pa.Table, weight: np.ndarray | None = None) -> MemoryRows:
        """All rows of a table; weights are one where they are not given."""
        given = np.ones(len(columns)) if weight is None else np.asarray(weight, dtype=np.float64)
        return MemoryRows(schema, columns, given, np.arange(len(columns)))

    def __post_init__(self) -> None:
        self.digest = digest([self.schema.names, self.places.tolist(), len(self.columns)])

    def __len__(self) -> int:
        return len(self.places)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        names = list(self.schema.names if columns is None else columns)
        return self.columns.select(names).take(pa.array(self.places))

    def batch(self, columns: Sequence[str]) -> Batch:
        picked = self.table(columns)
        kinds = {name: column_type(self.schema[name].type) for name in columns}
        return {name: kinds[name].to_numpy(picked.column(name).combine_chunks()) for name in columns}

    def weights(self) -> np.ndarray:
        return np.asarray(self.weight[self.places])

    def keys(self) -> np.ndarray:
        return np.array([f"key-{place}" for place in self.places], dtype=object)

    def numbers(self) -> np.ndarray:
        return self.places

    def take(self, positions: np.ndarray) -> MemoryRows:
        return replace(self, places=self.places[np.asarray(positions)])

    def part(self, name: str) -> MemoryRows:
        turn = self.places % 5
        side = np.where(turn == 0, PARTS[1], np.where(turn == 1, PARTS[2], PARTS[0]))
        return self.take(np.flatnonzero(side == name))
