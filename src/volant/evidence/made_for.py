"""What a release was made for, kept inside it: how its inputs, answers and labels spread, and how right it was.

Later traffic is compared with this. Nothing in it is anybody's: ranges hold many rows each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from volant.columns.labels import presences
from volant.core.protocols import Rows
from volant.core.records import Batch, Problem
from volant.evidence.drift import Shares, of_names, of_numbers
from volant.runtime.load import Release, read_json

FILE = "reference.json"
WATCHED = ("number", "boolean", "category", "text")
"""Types of columns that are watched; time passes anyway, and identifiers are always new."""


def column_values(rows: Rows, name: str, kind: str) -> Any:
    """A column as what its distribution is reckoned from: numbers, names, or lengths of texts."""
    if kind == "category":
        return rows.table([name]).column(0).combine_chunks()
    return watched_numbers(rows.batch([name])[name], kind)


def watched_numbers(values: np.ndarray, kind: str) -> np.ndarray:
    """Numbers as they are, texts as how long they are, shape (n,); NaN where missing."""
    if kind != "text":
        return np.asarray(values, dtype=np.float64)
    return np.array([np.nan if one is None else len(one) for one in values], dtype=np.float64)


def reference_file(release: Release, train: Rows, held: Rows, problem: Problem, units: Batch) -> bytes:
    """The file: inputs and labels by the training rows, answers and how right they are by held-out rows.

    Args:
        release: what is described.
        train: the rows that it learned from.
        held: rows that it did not learn from.
        problem: with the target and its classes.
        units: the task's units of the release on `held`.
    """
    inputs = {c.name: c.type for c in problem.inputs if c.type in WATCHED}
    watched = {name: _of(column_values(train, name, kind)).record() for name, kind in inputs.items()}
    target = column_values(train, problem.target, "number" if problem.task == "regress" else "category")
    record = {
        "version": 1,
        "inputs": watched,
        "label": _of(_labels_of(target, problem)).record(),
        **_answers(units, problem, len(held)),
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode()


def read_reference(release: Release) -> dict[str, Any] | None:
    """What a release remembers, its distributions as such; None where it is older than that."""
    if not (release.folder / FILE).is_file():
        return None
    record = dict(read_json(release.folder, FILE))
    record["inputs"] = {name: Shares.of_record(one) for name, one in record["inputs"].items()}
    for name in ("label", "output"):
        record[name] = Shares.of_record(record[name]) if record.get(name) else None
    return record


def _of(values: Any) -> Shares:
    numeric = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    return of_numbers(values) if numeric else of_names(values if isinstance(values, list) else values.to_pylist())


def texts_of(values: Any) -> list[str | None]:
    """Labels as texts, whatever type the column has."""
    if isinstance(values, np.ndarray):
        return [None if one != one else str(one) for one in values]
    return [None if one is None else _label(one) for one in values.to_pylist()]


def _labels_of(target: Any, problem: Problem) -> Any:
    """What is watched of a target: numbers, names of classes, or sets of labels."""
    if problem.labels:
        return known_sets(target.to_pylist())
    return texts_of(target) if problem.classes else target


def known_sets(cells: Iterable[str | None]) -> list[str]:
    """Cells of a column of labels as one text each, of rows whose labels are all known; the others are left out."""
    told = [presences(cell) for cell in cells if cell is not None]
    return [set_text([name for name, there in said.items() if there]) for said, whole in told if whole]


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _answers(units: Batch, problem: Problem, rows: int) -> dict[str, Any]:
    """How answers spread on held-out rows, and how right they are there."""
    if not rows:
        return {"output": None, "rows": 0}
    if problem.labels:
        return {"output": of_names(sets_of(units["a"] == 1, problem.labels)).record(), "rows": rows}
    if not problem.classes:
        errors = np.abs(units["y"] - units["f"])
        return {"output": of_numbers(units["f"]).record(), "rows": rows, "scale": float(np.median(errors)) or 1.0}
    chosen = units["a"] if "a" in units else units["p"].argmax(axis=1)
    known = units["y"] >= 0
    sure = units["p"][np.arange(len(chosen)), chosen]
    return {
        "output": of_names([problem.classes[one] for one in chosen]).record(),
        "rows": rows,
        "right": float((chosen == units["y"])[known].mean()) if known.any() else None,
        "sure": float(sure[known].mean()) if known.any() else None,
    }


def sets_of(marked: np.ndarray, labels: Sequence[str]) -> list[str]:
    """The labels of each row as one text, of marks (n, L)."""
    return [set_text([name for name, there in zip(labels, row, strict=True) if there]) for row in marked.tolist()]


def set_text(labels: Sequence[str]) -> str:
    """Labels as one text, the same in whatever order they come."""
    return "|".join(sorted(labels))
