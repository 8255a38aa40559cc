"""Rows in an order that tells, and columns that change over time or between files."""

from __future__ import annotations

import numpy as np
import pytest

from volant.core.protocols import CheckContext


def taken(columns, order):
    return {name: values[order] for name, values in columns.items()}


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_sorted_by_target(checks, make, run, clean, task):
    columns = clean(1000, task=task)
    (found, *_) = run(checks["row_order"], make(taken(columns, np.argsort(columns["y"]))))
    assert found.column == "y"


def test_target_changes_from_top_to_bottom(checks, make, run, clean):
    columns = clean(2000)
    late = np.random.default_rng(0).random(2000) < np.linspace(0.2, 0.8, 2000)
    columns["y"] = np.where(late, "yes", "no").astype(object)
    found = run(checks["row_order"], make(columns))
    assert [f.column for f in found] == ["y"]


def test_inputs_change_from_top_to_bottom(checks, make, run, clean):
    columns = clean(1000)
    columns["level"] = np.random.default_rng(0).normal(size=1000) + np.linspace(0, 2, 1000)
    (found,) = run(checks["row_order"], make(columns))
    assert found.column == "level"


def test_counters_are_not_drift(checks, make, run, clean):
    assert run(checks["row_order"], make(clean(1000) | {"n": np.arange(1000.0)})) == []


def days(rows):
    return np.datetime64("2024-01-01", "us") + np.arange(rows).astype("timedelta64[h]")


def test_drift_over_time_whatever_the_row_order(checks, make, run, clean):
    columns = clean(1000) | {"at": days(1000)}
    columns["level"] = np.random.default_rng(0).normal(size=1000) + (np.arange(1000) > 750)
    data = make(taken(columns, np.random.default_rng(1).permutation(1000)), roles={"at": "time"})
    (found,) = run(checks["drift"], data)
    assert found.column == "level"
    assert "last quarter" in found.what
    assert run(checks["row_order"], data) == []


def test_drift_of_the_target_and_of_categories(checks, make, run, clean):
    columns = clean(1000) | {"at": days(1000)}
    columns["kind"] = np.where(np.arange(1000) < 250, "old", "new").astype(object)
    columns["y"] = np.where(np.random.default_rng(0).random(1000) < np.linspace(0.1, 0.9, 1000), "yes", "no").astype(
        object
    )
    found = run(checks["drift"], make(columns, roles={"at": "time"}))
    assert [f.column for f in found] == ["kind", "y"]


def test_one_file_differs(checks, make, run, clean):
    columns = clean(900)
    columns["z"][300:600] *= 10
    files = CheckContext(target="y", notes={"files": {"a.csv": 300, "b.csv": 300, "c.csv": 300}})
    (found,) = run(checks["drift"], make(columns), files)
    assert found.column == "z"
    assert "file 2 of 3" in found.what
    assert run(checks["drift"], make(clean(900)), files) == []


def test_no_drift_without_time_or_files(checks, make, run, clean):
    columns = clean(900)
    columns["z"][300:600] *= 10
    assert run(checks["drift"], make(columns)) == []
