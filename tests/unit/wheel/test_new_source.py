"""What `new` writes as the source is found from the product's folder, wherever `new` was called."""

import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.commands import table, volant

from volant.core.product import read


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data.csv").write_text(table())
    with sqlite3.connect("shop.db") as database:
        database.execute("create table visits (x real, y text)")
        database.executemany("insert into visits values (?, ?)", [(n, "ab"[n * 7 % 11 % 2]) for n in range(60)])
    database.close()
    return tmp_path


@pytest.mark.parametrize(
    "source", ["data.csv", "~/data.csv", "${DATA_HOME}/data.csv", "sqlite:///shop.db", "sqlite:///${DATA_HOME}/shop.db"]
)
def test_check_reads_what_new_read(here, source):
    query = ["--query", "select * from visits"] if "sqlite" in source else []
    assert volant("new", "p", "--data", source, "--target", "y", *query)[0] == 0
    status, found = volant("-C", "p", "check")
    assert found["rows"] in (60, 120), found
    assert status in (0, 1)


def test_half_precision_numbers_are_numbers(here):
    pq.write_table(pa.table({"h": pa.array([1.5, 2.5] * 30, pa.float16()), "y": ["a", "b"] * 30}), "h.parquet")
    status, made = volant("new", "p", "--data", "h.parquet", "--target", "y")
    assert (status, made["columns"][0]["type"]) == (0, "number")


def test_many_rows_leave_more_of_them_for_training(here):
    lines = ["x,y", *(f"{i},{i % 2}" for i in range(12_000))]
    (here / "many.csv").write_text("\n".join(lines))
    assert volant("new", "many", "--data", "many.csv", "--target", "y")[0] == 0
    split = read(here / "many").file.data.split
    assert (split.judge, split.test) == (0.1, 0.1)
