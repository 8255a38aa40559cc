"""The tables on which the suite tries plugins: every column type that a product of rows may have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from volant.core.plugins import column_type
from volant.core.records import Column, Problem, Schema
from volant.testing.rows import MemoryRows

CLASSES = ("b", "c", "a")
"""In an order that is neither that of the alphabet nor that of frequency."""
LABELS = ("tall", "green", "odd")
WORDS = ("red", "green", "blue", "grey")


@dataclass(frozen=True)
class Case:
    """A problem, rows to learn from and rows to predict."""

    name: str
    problem: Problem
    train: MemoryRows
    fresh: MemoryRows


@cache
def cases() -> tuple[Case, ...]:
    """The problems that the suite poses; a learner is tried on those that it supports."""
    return (
        make_case("two classes", 160, classes=("no", "yes")),
        make_case("three classes", 240, classes=CLASSES),
        make_case("numbers", 160),
        make_case("two classes, numbers only", 120, classes=("no", "yes"), types=("number",)),
        make_case("two classes, pictures", 100, classes=("no", "yes"), types=("image",)),
        make_case("numbers, pictures in a table", 100, types=("image", "number")),
        make_case("labels", 160, labels=LABELS, types=("number", "number", "category")),
        make_case("labels, pictures", 60, labels=LABELS, types=("image",)),
    )


MIXED = ("number", "number", "boolean", "category", "timestamp", "text")


def make_case(
    name: str,
    rows: int,
    *,
    classes: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    types: tuple[str, ...] = MIXED,
    seed: int = 0,
) -> Case:
    """A learnable table: the target follows two hidden numbers that several columns show."""
    rng = np.random.default_rng([seed, rows])
    hidden = rng.normal(size=(rows + 60, 2))
    score = hidden[:, 0] + 0.7 * hidden[:, 1] + 0.3 * rng.normal(size=len(hidden))
    listed = [Column(f"{kind}_{i}", kind) for i, kind in enumerate(types)]
    values = {c.name: _column(c.type, hidden[:, i % 2], rng) for i, c in enumerate(listed)}
    values["target"] = _carried(score, hidden, labels) if labels else _target(score, classes)
    kind = "labels" if labels else "category" if classes else "number"
    schema = Schema((*listed, Column("target", kind, "target")))
    everything = MemoryRows.of(schema, pa.table({c.name: values[c.name] for c in schema.columns}))
    task = "tag" if labels else "classify" if classes else "regress"
    metric = "log_loss" if classes or labels else "rmse"
    problem = Problem(task, "target", tuple(listed), rows, classes, metric, labels=labels)
    order = np.arange(len(everything))
    return Case(name, problem, everything.take(order[:rows]), everything.take(order[rows:]))


def _target(score: np.ndarray, classes: tuple[str, ...]) -> pa.Array:
    if not classes:
        return pa.array(100.0 + 15.0 * score)
    shares = np.array([0.6, 0.3, 0.1]) if len(classes) == 3 else np.array([0.65, 0.35])
    cuts = np.quantile(score, np.cumsum(shares)[:-1])
    return pa.array([classes[i] for i in np.searchsorted(cuts, score)])


def _carried(score: np.ndarray, hidden: np.ndarray, labels: tuple[str, ...]) -> pa.Array:
    """Cells of labels: the first follows the score, the others the hidden numbers; each twelfth row tells of one."""
    shown = np.stack([score, *(hidden[:, i % 2] for i in range(1, len(labels)))], axis=1)
    there = shown > np.quantile(shown, 0.6, axis=0)
    lists: list[Any] = [[name for name, said in zip(labels, row, strict=True) if said] for row in there]
    partial = [{labels[0]: bool(row[0])} for row in there]
    cells = [partial[i] if i % 12 == 7 else one for i, one in enumerate(lists)]
    kind = column_type("labels")
    return pa.array([kind.parse_cell(cell) for cell in cells], type=kind.storage)


def _column(kind: str, hidden: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """A column of that type which shows `hidden` (n,), with a tenth of its cells missing."""
    noisy = hidden + 0.2 * rng.normal(size=len(hidden))
    gone = rng.random(len(hidden)) < 0.1
    level = np.clip(np.floor((noisy + 2) / 1.0), 0, 3).astype(int)
    values: dict[str, list[object]] = {
        "number": (10.0 * noisy).tolist(),
        "boolean": (noisy > 0).tolist(),
        "category": [WORDS[i] for i in level],
        "timestamp": [datetime(2024, 1, 1) + timedelta(days=100 * float(v)) for v in noisy],
        "text": [f"it is {WORDS[i]} and number {n}" for n, i in enumerate(level)],
        "image": [_picture(float(v), n) for n, v in enumerate(noisy)] if kind == "image" else [],
    }
    shown = [None if missing else value for value, missing in zip(values[kind], gone, strict=True)]
    return pa.array(shown, type=column_type(kind).storage)


def _picture(level: float, seed: int) -> bytes:
    """A small PNG in which a bright field is the larger, the higher `level` is."""
    import io

    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 60, (12, 16, 3), dtype=np.uint8)
    pixels[:, : int(np.clip(8 + 4 * level, 0, 16))] += np.uint8(160)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def emptied(rows: MemoryRows) -> MemoryRows:
    """The same rows with every input missing."""
    return _replaced(rows, lambda column: pa.nulls(len(rows.columns), column_type(column.type).storage))


def unseen(rows: MemoryRows) -> MemoryRows:
    """The same rows with texts and categories that no training row has."""

    def strange(column: Column) -> pa.Array:
        if column.type in ("category", "text"):
            return pa.array([f"never seen {i}" for i in range(len(rows.columns))])
        return rows.columns.column(column.name)

    return _replaced(rows, strange)


def _replaced(rows: MemoryRows, make: Callable[[Column], pa.Array]) -> MemoryRows:
    columns = {c.name: make(c) if c.role == "input" else rows.columns.column(c.name) for c in rows.schema.columns}
    return MemoryRows(rows.schema, pa.table(columns), rows.weight, rows.places)
