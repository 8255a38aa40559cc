"""Small tables that tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from volant.core.records import Column, Schema
from volant.data.dataset import Dataset, SplitRule, write_dataset

SCHEMA = Schema(
    (
        Column("size", "number"),
        Column("shape", "category"),
        Column("open", "boolean"),
        Column("made", "timestamp"),
        Column("label", "category", "target"),
    )
)


def rows(count: int = 600, seed: int = 0, classes: int = 2) -> pa.Table:
    """Raw rows: the label follows from `size` and `shape`, with some noise; some cells are missing."""
    rng = np.random.default_rng(seed)
    size, shape = rng.normal(size=count), rng.integers(0, 6, count)
    score = size * 2 + np.where(shape < 3, 1.5, -1.5) + rng.normal(size=count) * 0.5
    names = np.array(["no", "yes", "maybe"])
    label = names[np.digitize(score, [0.0, 2.0][: classes - 1])]
    holes = rng.random(count) < 0.05
    made = np.datetime64("2024-01-01") + rng.integers(0, 700, count) * np.timedelta64(1, "D")
    return pa.table(
        {
            "size": pa.array([None if h else f"{x:.6f}" for x, h in zip(size, holes, strict=True)]),
            "shape": pa.array([f"s{i}" for i in shape]),
            "open": pa.array(["yes" if i % 2 else "no" for i in shape]),
            "made": pa.array([str(m) for m in made]),
            "label": pa.array(label),
        }
    )


def dataset(
    folder: Path, table: pa.Table | None = None, *, schema: Schema = SCHEMA, rule: SplitRule | None = None
) -> Dataset:
    """A dataset version of raw rows."""
    table = rows() if table is None else table
    return write_dataset(folder, schema, table.to_batches(max_chunksize=100), rule or SplitRule())
