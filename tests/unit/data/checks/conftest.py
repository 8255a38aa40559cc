"""Rows in memory, and a table on which no check may find anything."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from volant.core.protocols import CheckContext
from volant.core.records import PARTS, Column, Finding, Problem, Schema

ROOT = Path(__file__).parents[4]
STORED = {
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    "list": pa.string(),
    "json": pa.string(),
}


class Table:
    """A dataset in memory. Implements `core.protocols.Rows`."""

    digest = "0" * 64

    def __init__(self, table: pa.Table, schema: Schema, sides: np.ndarray, numbers: np.ndarray) -> None:
        self._table, self.schema, self._sides, self._numbers = table, schema, sides, numbers

    def __len__(self) -> int:
        return len(self._table)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self._table if columns is None else self._table.select(list(columns))

    def batch(self, columns: Sequence[str]) -> dict[str, np.ndarray]:
        return {name: self._table.column(name).to_numpy() for name in columns}

    def weights(self) -> np.ndarray:
        return np.ones(len(self))

    def keys(self) -> np.ndarray:
        return self._numbers.astype(str).astype(object)

    def numbers(self) -> np.ndarray:
        return self._numbers

    def take(self, positions: np.ndarray) -> Table:
        taken = self._table.take(pa.array(positions))
        return Table(taken, self.schema, self._sides[positions], self._numbers[positions])

    def part(self, name: str) -> Table:
        return self.take(np.flatnonzero(self._sides == PARTS.index(name)))


def make(
    columns: dict[str, Any], types: dict[str, str] | None = None, roles: dict[str, str] | None = None, *, first: int = 0
) -> Table:
    """A dataset of named columns; the column `y` is the target. Row numbers begin at `first`."""
    types, roles = types or {}, {"y": "target"} | (roles or {})
    listed, arrays = [], {}
    for name, values in columns.items():
        kind = types.get(name) or guess(values)
        listed.append(Column(name, kind, roles.get(name, "input")))
        arrays[name] = pa.array(values, type=STORED.get(kind, pa.string()), from_pandas=True)
    rows = len(next(iter(arrays.values()), []))
    sides = np.random.default_rng(5).choice(len(PARTS), size=rows, p=[0.7, 0.15, 0.15])
    return Table(pa.table(arrays), Schema(tuple(listed)), sides, np.arange(first, first + rows))


def guess(values: Any) -> str:
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return "timestamp"
    if array.dtype.kind == "b":
        return "boolean"
    return "number" if array.dtype.kind in "fiu" else "category"


def the_problem(data: Table, target: str = "y") -> Problem | None:
    if target not in data.schema.names:
        return None
    classes = data.schema[target].type != "number"
    labels = tuple(sorted(str(v) for v in set(data.table([target]).column(0).to_pylist()) if v is not None))
    task = "classify" if classes else "regress"
    return Problem(task, target, data.schema.inputs, len(data), labels if classes else ())


def run(check: Any, data: Table, context: CheckContext | None = None) -> Sequence[Finding]:
    """The findings of one check, whose form is asserted."""
    context = context or CheckContext(target="y")
    found = check.run(data, the_problem(data, context.target or "y"), context)
    for finding in found:
        assert finding.check == check.name
        assert finding.severity in ("stop", "warn")
        assert finding.aspect == check.aspect
        assert finding.what
        assert finding.fix
        assert 0 <= finding.score <= 1
        assert len(finding.rows) <= 20
        assert all(isinstance(row, int) for row in finding.rows)
    return found


def clean(rows: int = 600, seed: int = 0, *, task: str = "classify") -> dict[str, Any]:
    """Columns of a sound table: mixed types, some values missing at random, a target that can be learned."""
    g = np.random.default_rng(seed)
    x, z = g.normal(size=rows), g.lognormal(size=rows)
    color = g.choice(["red", "green", "blue"], p=[0.5, 0.3, 0.2], size=rows).astype(object)
    count = g.poisson(3, size=rows).astype(float)
    raw = 1.5 * x + np.log(z) + (color == "red") * 1.0 + g.normal(size=rows)
    x = np.where(g.random(rows) < 0.05, np.nan, x)
    color[g.random(rows) < 0.03] = None
    target = np.where(raw > np.median(raw), "yes", "no").astype(object) if task == "classify" else raw
    return {"x": x, "z": z, "color": color, "count": count, "flag": g.random(rows) < 0.4, "y": target}


@pytest.fixture(name="make")
def _make() -> Callable[..., Table]:
    return make


@pytest.fixture(name="run")
def _run() -> Callable[..., Sequence[Finding]]:
    return run


@pytest.fixture(name="clean")
def _clean() -> Callable[..., dict[str, Any]]:
    return clean


@pytest.fixture
def problem_of() -> Callable[..., Problem | None]:
    return the_problem


def built_in() -> dict[str, Any]:
    """The built-in checks by name, as pyproject.toml lists them: no installation is needed."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["volant.checks"]
    places = {name: place.split(":") for name, place in listed.items()}
    return {name: getattr(importlib.import_module(module), kind)() for name, (module, kind) in places.items()}


@pytest.fixture(scope="session")
def checks() -> dict[str, Any]:
    return built_in()
