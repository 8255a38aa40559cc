"""Types, roles and tasks by the data alone."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volant.data.infer import infer_schema, infer_task
from volant.errors import BadInput

TABLES = Path(os.environ.get("VOLANT_DATA", Path(__file__).parents[4] / "shared" / "data")) / "tabular_a"


def real_tables():
    listed = TABLES / "tables.json"
    return json.loads(listed.read_text()) if listed.is_file() else []


def schema_of(columns, target=None, overrides=None, **options):
    return infer_schema(pa.table(columns), target, overrides, **options)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no"] * 9, "classify"),
        (["a", "b", "c"], "classify"),
        ([True, False], "classify"),
        ([0, 1] * 9, "classify"),
        ([-1, 1] * 9, "classify"),
        ([1, 2, 3] * 9, "classify"),
        (["1", "2", "3"] * 9, "classify"),
        (["1.0", "2.0", "NA"] * 9, "classify"),
        ([3, 4, 5, 6] * 9, "regress"),
        ([0.5, 1.5] * 9, "regress"),
        (["0.5", "1,200.25", "?"] * 9, "regress"),
        (list(range(99)), "regress"),
        ([0, 1, 2, 3, 100] * 9, "regress"),
        ([0, 1, 2], "regress"),
        ([float("inf"), 0.0, 1.0], "regress"),
    ],
)
def test_tasks(values, task):
    assert infer_task(pa.array(values), "y")[0] == task


def test_the_reason_says_why():
    assert infer_task(pa.array([1, 2, 3] * 9), "y")[1] == "the target is one of 3 codes, numbered from 1"
    assert infer_task(pa.array(["a", "b", "a"]), "y")[1] == "the target is one of 2 texts"


@pytest.mark.parametrize("values", [pa.nulls(3), pa.array(["", "NA"]), pa.array([float("nan")])])
def test_a_target_without_values(values):
    with pytest.raises(BadInput) as raised:
        infer_task(values, "y")
    assert raised.value.code == "target-missing"


def test_dates_cannot_be_predicted():
    with pytest.raises(BadInput) as raised:
        infer_task(pa.array([0], pa.timestamp("us")), "y")
    assert raised.value.code == "column-type"


@pytest.mark.parametrize("table", real_tables() or [None], ids=lambda table: table["name"] if table else "none")
def test_real_tables(table):
    if table is None:
        pytest.skip(f"the tables are not here: {TABLES}")
    rows = pq.read_table(TABLES / f"{table['name']}.parquet")
    schema = infer_schema(rows, table["target"])
    task = "regress" if table["task"] == "regression" else "classify"
    assert infer_task(rows[table["target"]], table["target"])[0] == task
    assert schema[table["target"]].role == "target"
    assert schema[table["target"]].type == ("number" if task == "regress" else "category")
    for column in schema.columns:
        kind, listed = rows.schema.field(column.name).type, column.name in table["categorical"]
        numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if column.role == "ignored":
            assert (column.type, column.name) in {("id", "customerID"), ("id", "PassengerId")}
        elif column.role == "input":
            allowed = {"number", "boolean"} if numeric else {"category", "boolean"}
            assert column.type in allowed or (column.type == "text" and column.name == "Name"), column
            assert numeric or listed or column.name == "split"
        assert column.reason


def test_columns_of_every_kind():
    n = 30
    schema = schema_of(
        {
            "order_id": [f"A-{i}" for i in range(n)],
            "price": [f"{i}.5" for i in range(n)],
            "plan": ["basic", "plus"] * 15,
            "active": ["yes", "no"] * 15,
            "since": [f"2024-01-{i + 1:02d}" for i in range(n)],
            "comment": [f"the {i}th parcel came late" for i in range(n)],
            "tags": ['["a"]', "[]"] * 15,
            "meta": ['{"a": 1}', "{}"] * 15,
            "nothing": [None] * n,
            "raw": [b"x"] * n,
            "zip": ["02139", "10001"] * 15,
            "churned": ["true", "false"] * 15,
        },
        "churned",
    )
    assert {c.name: (c.type, c.role) for c in schema.columns} == {
        "order_id": ("id", "ignored"),
        "price": ("number", "input"),
        "plan": ("category", "input"),
        "active": ("boolean", "input"),
        "since": ("timestamp", "input"),
        "comment": ("text", "input"),
        "tags": ("list", "ignored"),
        "meta": ("json", "ignored"),
        "nothing": ("category", "ignored"),
        "raw": ("text", "ignored"),
        "zip": ("category", "input"),
        "churned": ("category", "target"),
    }
    assert "identifiers tell nothing about new rows" in schema["order_id"].reason
    assert schema["nothing"].reason == "no values in 30 rows"


def test_counts_that_are_mostly_zero_and_one_are_numbers():
    values = [0, 1] * 50_000
    assert schema_of({"n": values})["n"].type == "number"
    assert schema_of({"n": [*values, 2]})["n"].type == "number"


def test_the_product_file_overrides():
    columns = {"a": [1, 2, 3], "b": ["x", "y", "x"]}
    schema = schema_of(columns, "b", {"a": {"type": "category", "role": None}, "b": {"type": None, "role": None}})
    assert (schema["a"].type, schema["a"].role) == ("category", "input")
    schema = schema_of(columns, None, {"a": {"type": None, "role": "subject"}})
    assert (schema["a"].type, schema["a"].role) == ("number", "subject")
    schema = schema_of(columns, "b", {"b": {"type": "boolean", "role": None}})
    assert (schema["b"].type, schema["b"].role) == ("boolean", "target")


def test_a_task_that_is_known_decides_the_type_of_the_target():
    assert schema_of({"q": [3, 4, 5] * 9}, "q", task="classify")["q"].type == "category"
    assert schema_of({"q": [0, 1, 2] * 9}, "q", task="regress")["q"].type == "number"


def test_unknown_columns_name_the_nearest():
    with pytest.raises(BadInput) as raised:
        schema_of({"churned": [1], "age": [2]}, "churn")
    assert raised.value.code == "target-missing"
    assert raised.value.troubles[0].meant == "churned"
    with pytest.raises(BadInput) as raised:
        schema_of({"churned": [1], "age": [2]}, "churned", {"agee": {"type": "number"}, "x": {"role": "time"}})
    assert raised.value.code == "column-missing"
    assert [t.where for t in raised.value.troubles] == ["columns.agee", "columns.x"]
    assert raised.value.troubles[0].meant == "age"
