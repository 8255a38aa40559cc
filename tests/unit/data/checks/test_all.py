"""What every built-in check must do, whatever the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from volant.core.protocols import CheckContext

ROOT = Path(__file__).parents[4]
TASKS = ("classify", "regress")


def test_names_match_their_entry_points(checks):
    assert all(check.name == name for name, check in checks.items())
    assert all(check.aspect in ("completeness", "diversity", "accuracy", "privacy") for check in checks.values())
    assert all(check.summary.endswith(".") for check in checks.values())
    assert [name for name, check in checks.items() if check.trains] == ["wrong_labels", "near_pictures"]


def test_every_check_is_documented(checks):
    page = (ROOT / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(checks)


def test_documented_aspects_are_true(checks):
    page = (ROOT / "docs" / "reference" / "checks.md").read_text(encoding="utf-8")
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    said = {row[0].strip("`"): row[2] for row in cells}
    assert said == {name: check.aspect for name, check in checks.items()}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_found_in_a_sound_table(checks, make, run, clean, task, seed):
    data = make(clean(1500, seed, task=task))
    assert [f for check in checks.values() for f in run(check, data)] == []


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 30])
@pytest.mark.parametrize("task", TASKS)
def test_small_tables_break_nothing(checks, make, run, clean, rows, task):
    data = make({name: values[:rows] for name, values in clean(60, task=task).items()})
    for check in checks.values():
        run(check, data)


def test_a_table_of_missing_values_breaks_nothing(checks, make, run):
    columns = {"a": np.full(300, np.nan), "b": np.full(300, None), "y": np.full(300, None)}
    data = make(columns, types={"b": "category", "y": "category"})
    found = [f for check in checks.values() for f in run(check, data)]
    assert {f.check for f in found if f.severity == "stop"} == {"enough_rows", "target_values", "usable_inputs"}


def test_wild_numbers_break_nothing(checks, make, run, clean):
    columns = clean(400)
    columns["x"] = np.resize([np.inf, -np.inf, 1e308, -1e308, np.nan, 0.0], 400)
    columns["z"] = np.resize([1e308, 1e-308], 400)
    for check in checks.values():
        run(check, make(columns))


def test_wild_targets_break_nothing(checks, make, run, clean):
    columns = clean(400, task="regress")
    columns["y"][:20] = np.resize([np.inf, -np.inf, 1e308, np.nan], 20)
    for check in checks.values():
        run(check, make(columns))


def test_every_type_and_role_is_taken(checks, make, run, clean):
    columns = clean(400)
    columns |= {
        "note": np.resize(["a short note", None], 400),
        "tags": np.resize(['["a", "b"]', "[]"], 400),
        "more": np.resize(['{"a": 1}', None], 400),
        "code": np.array([f"c{i}" for i in range(400)]),
        "at": np.datetime64("2024-01-01", "us") + np.arange(400).astype("timedelta64[h]"),
        "who": np.array([f"p{i % 40}" for i in range(400)]),
    }
    types = {"note": "text", "tags": "list", "more": "json", "code": "id", "at": "timestamp"}
    data = make(columns, types=types, roles={"at": "time", "who": "subject", "code": "ignored"})
    found = [f for check in checks.values() for f in run(check, data)]
    assert {f.severity for f in found} <= {"warn"}


def test_findings_name_source_rows_not_positions(checks, make, run, clean):
    columns = clean(400)
    columns["z"][7] = np.inf
    (found,) = run(checks["impossible_values"], make(columns, first=1000))
    assert found.rows == (1007,)


def test_nothing_is_said_without_a_problem(checks, make, run, clean):
    data = make(clean(400))
    for check in checks.values():
        assert list(check.run(data, None, CheckContext(target="y"))) == []


def test_no_cell_is_quoted(checks, make, run, clean):
    columns = clean(400)
    columns["mail"] = np.array([f"secret{i}@example.com" for i in range(400)], dtype=object)
    columns["color"][:9] = "sécrÃ©t"
    data = make(columns, types={"mail": "category"})
    said = " ".join(f.what + f.fix for check in checks.values() for f in run(check, data))
    assert "mail" in said
    assert "secret" not in said
    assert "crÃ©t" not in said
