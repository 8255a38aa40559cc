"""What all sources share: places, errors, missing texts, fingerprints, chunks."""

import doctest
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from volant.data.sources import dialect, place, read_source, source
from volant.data.sources.place import filled_in, find, scheme_of
from volant.data.sources.source import MOST_ROWS
from volant.errors import BadInput

TABLE = pa.table({"name": ["Ann", "Bo", None], "age": [31, None, 4], "paid": [True, False, None]})
CSV = "name,age,paid\nAnn,31,true\nBo,NA,false\n?,4,\n"
JSON = '{"name": "Ann", "age": 31, "paid": true}\n\n{"name": "Bo", "paid": false}\n{"name": null, "age": 4}\n'


def rows_of(opened):
    return pa.Table.from_batches(list(opened.chunks())).to_pylist()


def read(tmp_path, name, **options):
    return read_source(name, folder=tmp_path, **options)


@pytest.fixture
def everything(tmp_path):
    """The same table in every format of files."""
    from openpyxl import Workbook

    (tmp_path / "t.csv").write_text(CSV)
    (tmp_path / "t.tsv").write_text(CSV.replace(",", "\t"))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "t.jsonl").write_text(JSON)
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(JSON.encode()))
    (tmp_path / "t.json").write_text(json.dumps(TABLE.to_pylist(), indent=1))
    pq.write_table(TABLE, tmp_path / "t.parquet")
    book = Workbook()
    for row in (TABLE.column_names, *(list(row.values()) for row in TABLE.to_pylist())):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    return tmp_path


FILES = ["t.csv", "t.tsv", "t.csv.gz", "t.jsonl", "t.jsonl.gz", "t.json", "t.parquet", "t.xlsx"]


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_values(everything, name):
    from volant.columns.boolean import Boolean
    from volant.columns.category import Category
    from volant.columns.number import Number

    opened = read(everything, name)
    assert opened.names == ("name", "age", "paid")
    whole = pa.Table.from_batches(list(opened.chunks()))
    assert Category().parse(whole["name"]).values.to_pylist() == ["Ann", "Bo", None]
    assert Number().parse(whole["age"]).values.to_pylist() == [31.0, None, 4.0]
    assert Boolean().parse(whole["paid"]).values.to_pylist() == [True, False, None]
    assert opened.notes["rows"] == 3


@pytest.mark.parametrize("name", FILES)
def test_sources_can_be_read_again_and_have_one_schema(everything, name):
    opened = read(everything, name)
    first, second = list(opened.chunks()), list(opened.chunks())
    assert [c.schema for c in first] == [opened.schema] * len(first)
    assert pa.Table.from_batches(first).equals(pa.Table.from_batches(second))


@pytest.mark.parametrize("name", FILES)
def test_a_fingerprint_tells_whether_the_source_changed(everything, name):
    one = read(everything, name).fingerprint
    assert one == read(everything, name).fingerprint
    assert len(one) == 64
    assert one != read(everything, name, missing=["Ann"]).fingerprint


def test_a_fingerprint_is_of_the_bytes(everything):
    before = read(everything, "t.csv").fingerprint
    (everything / "t.csv").write_text(CSV + "Cy,5,true\n")
    assert read(everything, "t.csv").fingerprint != before


@pytest.mark.parametrize("name", FILES)
def test_a_product_chooses_what_means_missing(everything, name):
    rows = rows_of(read(everything, name, missing=["Bo"]))
    assert [row["name"] for row in rows[:2]] == ["Ann", None]
    if name.startswith("t.csv"):
        assert rows[1]["age"] == "NA"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_chunks_are_bounded(tmp_path, name):
    table = pa.table({"n": list(range(2 * MOST_ROWS + 5))})
    pq.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("n\n" + "\n".join(map(str, range(len(table)))) + "\n")
    (tmp_path / "t.jsonl").write_text("".join(f'{{"n": {n}}}\n' for n in range(len(table))))
    chunks = list(read(tmp_path, name).chunks())
    assert max(map(len, chunks)) <= MOST_ROWS
    assert [int(n) for chunk in chunks for n in chunk.column("n").to_pylist()] == list(range(len(table)))


def test_progress_is_told(everything):
    told = []

    class Teller:
        def stage(self, name, total=None):
            told.append((name, total))

        def advance(self, done, note=""):
            told.append(done)

        def say(self, text):
            raise AssertionError(text)

    list(read(everything, "t.csv", progress=Teller()).chunks())
    assert told == [("read t.csv", len(CSV)), len(CSV)]


def test_a_missing_file_names_the_nearest(everything):
    with pytest.raises(BadInput) as raised:
        read(everything, "t.csvv")
    assert raised.value.code == "source-missing"
    trouble = raised.value.troubles[0]
    assert (trouble.got, trouble.meant) == ("t.csvv", "t.csv")
    assert "t.parquet" in trouble.choices


@pytest.mark.parametrize("name", ["", " ", "x" * 5000 + ".csv", "a\0.csv", "~nobody-of-that-name/t.csv", "t.csv/u.csv"])
def test_what_is_no_path(everything, name):
    with pytest.raises(BadInput) as raised:
        read(everything, name)
    assert raised.value.code == "source-missing"


@pytest.mark.parametrize("name", ["t.xls", "noending", "t.parquet.gz", "t.docx"])
def test_an_unknown_format(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(BadInput) as raised:
        read(tmp_path, name)
    assert raised.value.code == "source-format"
    assert ".csv" in raised.value.troubles[0].choices


@pytest.mark.parametrize("url", ["https://example.org/t.csv", "s3://bucket/t.csv", "mysql://h/db"])
def test_an_unknown_url(tmp_path, url):
    with pytest.raises(BadInput) as raised:
        read(tmp_path, url)
    assert raised.value.code == "source-format"
    assert "postgresql://" in raised.value.troubles[0].choices


def test_environment_variables_are_filled_in(everything, monkeypatch):
    monkeypatch.setenv("VOLANT_TEST_PLACE", "t.csv")
    assert len(rows_of(read(everything, "${VOLANT_TEST_PLACE}"))) == 3
    with pytest.raises(BadInput) as raised:
        read(everything, "${VOLANT_TEST_UNSET}/t.csv")
    assert raised.value.code == "source-missing"
    assert raised.value.troubles[0].got == "${VOLANT_TEST_UNSET}"


def test_a_password_is_quoted_for_its_url():
    filled = filled_in("postgresql://me:${PW}@host/${DB}", {"PW": "p@ss/w", "DB": "shop"})
    assert filled == "postgresql://me:p%40ss%2Fw@host/shop"
    assert filled_in("${URL}", {"URL": "sqlite:///a.db"}) == "sqlite:///a.db"


def test_a_folder_keeps_the_name_of_its_place(tmp_path):
    (tmp_path / "a#b.csv").write_text("x\n1\n")
    assert find("a#b.csv", tmp_path).path.name == "a#b.csv"
    assert scheme_of("postgresql+psycopg://x") == "postgresql"
    assert scheme_of("C.csv") is None


@pytest.mark.parametrize("module", [source, place, dialect])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0
