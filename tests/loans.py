"""A table of loan requests that treats two groups differently, which tests of fairness share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from volant.wheel.handle import ProductHandle


def loans(rows: int = 4_000, seed: int = 0) -> pa.Table:
    """Requests of M and F: F earn less, and were refused more often than their merit explains.

    `district` gives the group away, so that hiding `sex` alone does not help.
    """
    rng = np.random.default_rng(seed)
    women = rng.random(rows) < 0.4
    income = rng.normal(np.where(women, 2.4, 3.0), 0.7, rows)
    debt = rng.gamma(2.0, 0.5, rows)
    merit = income + np.where(women, 0.6, 0.0) - debt + rng.normal(0, 0.5, rows)
    granted = merit - np.where(women, 0.9, 0.0) + rng.logistic(0, 0.35, rows) > 1.9
    district = np.where(rng.random(rows) < 0.85, women, ~women)
    sex = np.where(women, "F", "M").astype(object)
    return pa.table(
        {
            "income": income.round(3),
            "debt": debt.round(3),
            "district": np.where(district, "north", "south"),
            "age": rng.integers(20, 70, rows).astype(float),
            "sex": sex,
            "granted": np.where(granted, "yes", "no"),
        }
    )


FILE = """
version = 1
name = "loans"
[task]
type = "classify"
target = "granted"
[data]
source = "loans.csv"
[data.split]
judge = 0.3
test = 0.3
[train]
budget = "18 units"
threads = 1
learners = ["linear"]
"""


def product(folder: Path, extra: str = "", *, rows: int = 4_000, role: str = "sensitive") -> ProductHandle:
    """A product on these requests; `extra` is more of its file."""
    folder.mkdir(parents=True, exist_ok=True)
    pa.csv.write_csv(loans(rows), folder / "loans.csv")
    columns = f'[columns]\nsex = {{ type = "category", role = "{role}" }}\n'
    (folder / "volant.toml").write_text(FILE + extra + columns)
    return ProductHandle.at(folder)
