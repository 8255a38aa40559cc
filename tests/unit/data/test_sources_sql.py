"""Databases: SQLite always, PostgreSQL where a server can be started."""

import datetime as dt
import sqlite3

import pyarrow as pa
import pytest

from volant.data.sources import read_source
from volant.errors import BadInput

ROWS = [(1, "Ann", 0.5, "2024-01-02", b"\x00x"), (2, "NA", None, None, None), (3, None, 2.5, "x", None)]


@pytest.fixture
def shop(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER, name TEXT, amount REAL, day TEXT, raw BLOB)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", ROWS)
    connection.close()
    return tmp_path


def read(folder, query, url="sqlite:///shop.db", **options):
    return read_source(url, folder=folder, query=query, **options)


def table_of(source):
    return pa.Table.from_batches(list(source.chunks()))


def test_sqlite(shop):
    source = read(shop, 'SELECT id, name, amount, day AS "the day", amount * 2 AS id FROM t ORDER BY 1')
    assert table_of(source).to_pydict() == {
        "id": [1, 2, 3],
        "name": ["Ann", None, None],
        "amount": [0.5, None, 2.5],
        "the day": ["2024-01-02", None, "x"],
        "id_2": [1.0, None, 5.0],
    }
    assert source.notes["format"] == "sql"
    assert source.location == "sqlite:///shop.db"


def test_colons_and_percent_signs_are_part_of_the_query(shop):
    source = read(shop, "SELECT name || ':x%' AS a FROM t WHERE name LIKE 'A%' AND '12:30' <> ':name'")
    assert table_of(source)["a"].to_pylist() == ["Ann:x%"]


def test_the_fingerprint_is_of_the_rows(shop):
    query = "SELECT id FROM t"
    before = read(shop, query).fingerprint
    assert read(shop, query).fingerprint == before
    assert read(shop, query + " WHERE id > 0").fingerprint != before
    with sqlite3.connect(shop / "shop.db") as connection:
        connection.execute("UPDATE t SET id = 9 WHERE id = 1")
    connection.close()
    assert read(shop, query).fingerprint != before


def test_rows_stay_as_they_were_when_opened(shop):
    source = read(shop, "SELECT id FROM t")
    with sqlite3.connect(shop / "shop.db") as connection:
        connection.execute("DELETE FROM t")
    connection.close()
    assert len(table_of(source)) == len(table_of(source)) == 3


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "DROP TABLE t",
        "SELECT * FROM missing",
        "SELEC 1",
        "CREATE TABLE u (a)",
        "PRAGMA user_version = 3",
    ],
)
def test_nothing_can_be_written(shop, query):
    with pytest.raises(BadInput) as raised:
        read(shop, query)
    assert raised.value.code in ("source-sql", "source-empty")
    assert len(table_of(read(shop, "SELECT * FROM t"))) == 3


def test_what_is_missing_is_said(shop):
    for options in (
        {"query": None},
        {"query": "SELECT 1", "url": "sqlite:///other.db"},
        {"query": "SELECT 1", "url": "sqlite://"},
    ):
        with pytest.raises(BadInput) as raised:
            read(shop, **options)
        assert raised.value.code == "source-sql"
    assert not (shop / "other.db").exists()
    with pytest.raises(BadInput) as raised:
        read(shop, "SELECT id FROM t WHERE id > 99")
    assert raised.value.code == "source-empty"


def test_no_password_in_errors(tmp_path, monkeypatch):
    monkeypatch.setenv("VOLANT_TEST_PASSWORD", "hush:hush")
    with pytest.raises(BadInput) as raised:
        read(tmp_path, "SELECT 1", "postgresql://me:${VOLANT_TEST_PASSWORD}@127.0.0.1:1/db?connect_timeout=1")
    assert raised.value.code == "source-sql"
    assert "hush" not in raised.value.text()
    error = raised.value
    while error is not None:
        assert "hush" not in str(error)
        error = error.__cause__


@pytest.fixture
def postgres(postgres_server):
    import psycopg

    url = postgres_server.new_url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE t (id int, name text, price numeric(8,2), at timestamptz, tags int[], doc jsonb, ok bool)"
        )
        connection.execute(
            "INSERT INTO t VALUES (1, 'Ann', 1.50, '2024-01-02 08:00+02', '{1,2}', '{\"a\": 1}', true), "
            "(2, null, null, null, null, null, null)"
        )
        connection.execute("INSERT INTO t (id, name) SELECT n, 'x' FROM generate_series(3, 40000) n")
    return url


def test_postgresql(postgres, tmp_path):
    source = read(tmp_path, "SELECT *, '1'::int AS cast_one FROM t ORDER BY id", postgres)
    table = table_of(source)
    assert len(table) == 40_000
    assert table.to_pylist()[0] == {
        "id": 1,
        "name": "Ann",
        "price": 1.5,
        "at": dt.datetime(2024, 1, 2, 6),
        "tags": "[1, 2]",
        "doc": '{"a": 1}',
        "ok": True,
        "cast_one": 1,
    }
    assert "s3cret" not in source.location


@pytest.mark.parametrize(
    "query", ["DELETE FROM t", "CREATE TABLE u (a int)", "WITH d AS (DELETE FROM t RETURNING id) SELECT * FROM d"]
)
def test_postgresql_cannot_be_written(postgres, tmp_path, query):
    with pytest.raises(BadInput) as raised:
        read(tmp_path, query, postgres)
    assert raised.value.code == "source-sql"
    assert len(table_of(read(tmp_path, "SELECT 1 AS a FROM t", postgres))) == 40_000


def test_errors_of_postgresql_quote_no_cells(postgres, tmp_path):
    with pytest.raises(BadInput) as raised:
        read(tmp_path, "SELECT name::int AS a FROM t", postgres)
    assert "Ann" not in raised.value.text()
    assert "SQLSTATE 22P02" in raised.value.text()
