"""Row 77, reading: a column without values, infinite and huge numbers, dates in two formats."""

import datetime as dt
import math

import pyarrow as pa
import pytest

from volant.columns.number import Number
from volant.columns.timestamp import Timestamp
from volant.data.infer import infer_schema
from volant.data.sources import read_source


@pytest.fixture
def table(tmp_path):
    """One CSV file with all of them."""
    rows = ["nothing,size,day,mixed,y"]
    for n in range(1, 29):
        size = {1: "inf", 2: "-Infinity", 3: "1e308", 4: "1e309", 5: "9" * 400}.get(n, str(n))
        mixed = f"2024-03-{n:02d}" if n % 2 else f"{n}/3/2024"
        rows.append(f",{size},{n}.3.2024,{mixed},{n % 3}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    return pa.Table.from_batches(list(read_source("t.csv", folder=tmp_path).chunks()))


def test_a_column_without_values_is_ignored(table):
    column = infer_schema(table, "y")["nothing"]
    assert (column.role, column.reason) == ("ignored", "no values in 28 rows")


def test_infinite_numbers_stay_and_too_large_ones_are_listed(table):
    assert infer_schema(table, "y")["size"].type == "number"
    parsed = Number().parse(table["size"])
    assert parsed.values.to_pylist()[:6] == [math.inf, -math.inf, 1e308, None, None, 6.0]
    assert parsed.unreadable.tolist() == [3, 4]


def test_dates_in_two_formats_are_noticed(table):
    schema = infer_schema(table, "y")
    assert (schema["day"].type, schema["mixed"].type) == ("timestamp", "timestamp")
    assert "dates as MM/DD/YYYY and YYYY-MM-DD" in schema["mixed"].reason
    assert "8 of them cannot be read that way" in schema["mixed"].reason
    assert len(Timestamp().parse(table["mixed"]).unreadable) == 8
    assert Timestamp().parse(table["day"]).values.to_pylist()[0] == dt.datetime(2024, 3, 1)
