"""Parquet, Excel, and folders of files."""

import datetime as dt
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from volant.bind import excel
from volant.data.sources import read_source
from volant.errors import BadInput


def read(tmp_path, name, **options):
    return read_source(name, folder=tmp_path, **options)


def table_of(source):
    return pa.Table.from_batches(list(source.chunks()))


def failure(tmp_path, name):
    with pytest.raises(BadInput) as raised:
        list(read(tmp_path, name).chunks())
    return raised.value


def test_parquet_keeps_types_and_decodes_dictionaries(tmp_path):
    table = pa.table(
        {
            "n": pa.array([1, None], pa.int32()),
            "d": pa.array(["a", "NA"]).dictionary_encode(),
            "t": pa.array([dt.datetime(2024, 1, 2), None]),
            "l": pa.array([[1], None]),
            "__index_level_0__": [5, 6],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    source = read(tmp_path, "t.parquet")
    assert source.names == ("n", "d", "t", "l")
    assert source.schema.types == [pa.int32(), pa.string(), pa.timestamp("us"), pa.list_(pa.int64())]
    assert table_of(source)["d"].to_pylist() == ["a", None]


def test_damaged_and_empty_parquet(tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    for content in (b"", whole[:-9], b"PAR1" + b"x" * 50):
        (tmp_path / "t.parquet").write_bytes(content)
        assert failure(tmp_path, "t.parquet").code == "source-unreadable"
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "t.parquet")
    assert failure(tmp_path, "t.parquet").code == "source-empty"


def workbook(path, sheets):
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        page = book.create_sheet(title)
        for row in rows:
            page.append(row)
    book.save(path)


def test_excel_reads_the_first_sheet_or_the_one_named(tmp_path):
    rows = [[], ["name", "n", "when", None, "mix", "name"], ["Ann", 1, dt.datetime(2024, 1, 2), None, "x", 1], []]
    rows += [["Bo", 2.5, None, None, 7, 2], [None, None, None, None, True, 3, "beyond"]]
    workbook(tmp_path / "t.xlsx", {"first": rows, "second page": [["a"], [1]]})
    source = read(tmp_path, "t.xlsx")
    assert source.names == ("name", "n", "when", "mix", "name_2", "column_6")
    assert table_of(source).to_pydict() == {
        "name": ["Ann", "Bo", None],
        "n": [1.0, 2.5, None],
        "when": [dt.datetime(2024, 1, 2), None, None],
        "mix": ["x", "7", "true"],
        "name_2": [1, 2, 3],
        "column_6": [None, None, "beyond"],
    }
    assert source.notes["mixed_types"] == ["mix"]
    second = read(tmp_path, "t.xlsx#second page")
    assert table_of(second).to_pydict() == {"a": [1]}
    assert second.fingerprint != source.fingerprint


def test_excel_errors(tmp_path, monkeypatch):
    workbook(tmp_path / "t.xlsx", {"one": [["a"], [1]], "empty": [], "header": [["a"]]})
    missing = failure(tmp_path, "t.xlsx#on")
    assert (missing.code, missing.troubles[0].meant) == ("source-missing", "one")
    assert failure(tmp_path, "t.xlsx#empty").code == "source-empty"
    assert failure(tmp_path, "t.xlsx#header").code == "source-empty"
    monkeypatch.setattr(excel, "MOST_BYTES", 10)
    assert "more than 4 GiB" in failure(tmp_path, "t.xlsx").text()
    with zipfile.ZipFile(tmp_path / "z.xlsx", "w") as packed:
        packed.writestr("a", "b")
    (tmp_path / "y.xlsx").write_bytes(b"not a zip")
    assert failure(tmp_path, "z.xlsx").code == "source-unreadable"
    assert failure(tmp_path, "y.xlsx").code == "source-unreadable"


@pytest.fixture
def parts(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "b.csv").write_text("x,n\nb,2\n\ufffd,3\n")
    (folder / "a.csv").write_text("n,x\n1,a\n")
    (folder / ".hidden.csv").write_text("other\n1\n")
    return folder


def test_a_folder_is_read_in_the_order_of_names(parts):
    (parts / "readme.md").write_text("hello")
    source = read_source(str(parts), folder=parts.parent)
    assert table_of(source).to_pydict() == {"n": ["1", "2", "3"], "x": ["a", "b", "\ufffd"]}
    assert source.notes["files"] == {"a.csv": 1, "b.csv": 2}
    assert source.notes["left_out"] == ["readme.md"]
    assert source.notes["encoding_damage"] == [2]
    list(source.chunks())
    assert source.notes["files"] == {"a.csv": 1, "b.csv": 2}


def test_a_folder_of_different_types_gets_common_ones(parts):
    table = pa.table({"n": [1, 2], "x": [True, False]})
    pq.write_table(table, parts / "c.parquet")
    whole = table_of(read_source("parts", folder=parts.parent))
    assert whole.to_pydict() == {"n": ["1", "2", "3", "1", "2"], "x": ["a", "b", "\ufffd", "true", "false"]}
    for name in ("a.csv", "b.csv"):
        (parts / name).unlink()
    pq.write_table(pa.table({"n": [0.5], "x": [None]}), parts / "d.parquet")
    assert table_of(read_source("parts", folder=parts.parent))["n"].to_pylist() == [1.0, 2.0, 0.5]


def test_a_folder_of_different_columns_is_refused(parts):
    (parts / "c.csv").write_text("n,xx\n1,2\n")
    error = failure(parts.parent, "parts")
    assert error.code == "column-missing"
    assert [t.what for t in error.troubles] == [
        "c.csv has no column 'x', which a.csv has",
        "c.csv has a column 'xx', which a.csv does not have",
    ]
    (parts / "c.csv").unlink()
    pq.write_table(pa.table({"n": [1], "x": [[1]]}), parts / "c.parquet")
    assert "the column 'x' is list" in failure(parts.parent, "parts").text()


def test_empty_folders(tmp_path):
    (tmp_path / "none").mkdir()
    assert failure(tmp_path, "none").code == "source-missing"
    (tmp_path / "none" / "x.docx").write_text("")
    assert failure(tmp_path, "none").code == "source-format"


def test_a_folder_changes_its_fingerprint_with_its_files(parts):
    before = read_source("parts", folder=parts.parent).fingerprint
    (parts / "b.csv").write_text("x,n\nb,9\n")
    assert read_source("parts", folder=parts.parent).fingerprint != before


def test_a_file_may_lie_anywhere(tmp_path):
    pq.write_table(pa.table({"a": np.arange(3)}), tmp_path / "t.parquet")
    assert len(table_of(read_source(str(tmp_path / "t.parquet"), folder=tmp_path / "elsewhere"))) == 3
