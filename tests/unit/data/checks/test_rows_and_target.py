"""Too few rows, absent columns, and targets that teach nothing."""

from __future__ import annotations

import numpy as np
import pytest

from volant.core.protocols import CheckContext
from volant.core.records import Column, Problem


def head(columns, rows):
    return {name: values[:rows] for name, values in columns.items()}


@pytest.mark.parametrize(
    ("rows", "severity"), [(0, ["stop"]), (1, ["stop"]), (19, ["stop"]), (20, ["warn"]), (150, [])]
)
def test_too_few_rows(checks, make, run, clean, rows, severity):
    found = run(checks["enough_rows"], make(head(clean(200), rows)))
    assert [f.severity for f in found] == severity


def test_rows_without_a_target_do_not_count(checks, make, run, clean):
    columns = clean(200)
    columns["y"][15:] = None
    assert [f.severity for f in run(checks["enough_rows"], make(columns))] == ["stop"]


def test_a_column_of_the_problem_that_is_gone(checks, make, clean):
    problem = Problem("classify", "y", (Column("x", "number"), Column("colour", "category")), 200, ("no", "yes"))
    (found,) = checks["absent_columns"].run(make(clean(200)), problem, CheckContext(target="y"))
    assert (found.severity, found.column) == ("stop", "colour")
    assert "did you mean 'color'" in found.fix


def test_a_column_that_the_reader_did_not_find(checks, make, run, clean):
    (found,) = run(checks["absent_columns"], make(clean(200)), CheckContext(target="y", notes={"absent": ["age"]}))
    assert found.column == "age"


def test_target_not_there(checks, make, run, clean):
    (found,) = run(checks["target_values"], make(clean(200)), CheckContext(target="churned"))
    assert (found.severity, found.column) == ("stop", "churned")


@pytest.mark.parametrize("value", ["yes", None, 3.0, np.nan])
def test_target_with_one_value_or_none(checks, make, run, clean, value):
    columns = clean(200)
    columns["y"] = np.full(200, value)
    kind = {"y": "number" if isinstance(value, float) else "category"}
    (found,) = run(checks["target_values"], make(columns, types=kind))
    assert found.severity == "stop"


def test_some_rows_without_a_target(checks, make, run, clean):
    columns = clean(200)
    columns["y"][[4, 9]] = None
    (found,) = run(checks["target_values"], make(columns))
    assert (found.severity, found.rows, found.count) == ("warn", (4, 9), 2)


def test_no_input_can_be_used(checks, make, run, clean):
    columns = {"a": np.zeros(200), "tags": np.full(200, "[1]"), "y": clean(200)["y"]}
    found = run(checks["usable_inputs"], make(columns, types={"tags": "list"}))
    assert [(f.severity, f.column) for f in found] == [("stop", None), ("warn", "tags")]


def test_no_input_at_all(checks, make, run, clean):
    (found,) = run(checks["usable_inputs"], make({"y": clean(200)["y"]}))
    assert found.severity == "stop"


def test_text_is_used_where_a_learner_takes_it(checks, make, run, clean):
    columns = clean(200) | {"note": np.full(200, "some words", dtype=object)}
    assert run(checks["usable_inputs"], make(columns, types={"note": "text"})) == []


def test_small_classes(checks, make, run, clean):
    columns = clean(600)
    columns["y"] = np.where(np.arange(600) % 75 == 0, "rare", columns["y"]).astype(object)
    found = run(checks["class_imbalance"], make(columns))
    assert [f.count for f in found] == [8, 8]
    assert found[0].rows[:2] == (0, 75)


def test_usual_classes_are_not_small(checks, make, run, clean):
    columns = clean(600)
    columns["y"] = np.where(np.arange(600) % 8 == 0, "rare", "usual").astype(object)
    assert run(checks["class_imbalance"], make(columns)) == []
