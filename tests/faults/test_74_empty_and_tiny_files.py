"""Row 74, reading: an empty file, a header alone, one row."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volant.data.infer import infer_schema
from volant.data.sources import read_source
from volant.errors import BadInput

EMPTY = {"t.csv": b"", "t.tsv": b"\n\n", "t.jsonl": b"", "t.json": b"[]", "t.csv.gz": gzip.compress(b"", mtime=0)}
HEADER = {"t.csv": b"a,b\n", "t.tsv": b"a\tb", "t.txt": b'"a";"b"\r\n', "t.csv.gz": gzip.compress(b"a,b\n", mtime=0)}


def refused(folder, name):
    with pytest.raises(BadInput) as raised:
        list(read_source(name, folder=folder).chunks())
    return raised.value


@pytest.mark.parametrize(("name", "content"), [*EMPTY.items(), *HEADER.items()])
def test_no_rows(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    error = refused(tmp_path, name)
    assert (error.code, error.exit_status) == ("source-empty", 2)
    assert error.troubles[0].where == name
    assert error.troubles[0].fix


def test_no_rows_in_typed_formats(tmp_path):
    from openpyxl import Workbook

    pq.write_table(pa.table({"a": pa.array([], pa.string())}), tmp_path / "t.parquet")
    book = Workbook()
    book.active.append(["a", "b"])
    book.save(tmp_path / "t.xlsx")
    for name in ("t.parquet", "t.xlsx"):
        assert refused(tmp_path, name).code == "source-empty"


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.csv", "a,b\n1,x\n"), ("t.csv", "a,b\n1,x"), ("t.jsonl", json.dumps({"a": 1, "b": "x"}))],
)
def test_one_row_is_read(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    source = read_source(name, folder=tmp_path)
    table = pa.Table.from_batches(list(source.chunks()))
    assert [str(value) for value in table.to_pylist()[0].values()] == ["1", "x"]
    assert infer_schema(table, "b").names == ("a", "b")
