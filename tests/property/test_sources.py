"""What is written to a file is what is read from it, whatever stands in the cells."""

import codecs
import csv
import io
import json
import tempfile
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import assume, given, settings

from volant.data.sources import read_source
from volant.errors import BadInput

NAMES = ["first", "second", "third", "fourth"]
text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff", include_characters="\n\t"), max_size=12
)
plain = st.text("abc é中,;|\t'\" 01.-", max_size=8)
tables = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(text | plain, min_size=width, max_size=width), min_size=1, max_size=6)
)


def rows_of(content, name, **options):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        source = read_source(name, folder=Path(folder), **options)
        return source, pa.Table.from_batches(list(source.chunks())).to_pylist()


@settings(max_examples=60, deadline=None)
@given(
    rows=tables,
    delimiter=st.sampled_from(",;\t|"),
    ends=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_csv_gives_back_its_cells(rows, delimiter, ends, encoding, quoting):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ends, quoting=quoting)
    names = NAMES[: len(rows[0])]
    writer.writerow(names)
    writer.writerows(rows)
    source, found = rows_of(out.getvalue().encode(encoding), "t.csv", missing=[])
    assert source.names == tuple(names)
    assert [list(row.values()) for row in found] == [[cell or None for cell in row] for row in rows]


values = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
objects = st.lists(st.fixed_dictionaries({}, optional={n: values | text for n in NAMES}), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(rows=objects, array=st.booleans())
def test_json_gives_back_its_values(rows, array):
    from volant.columns.category import Category

    assume(any(rows))
    content = json.dumps(rows) if array else "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    source, found = rows_of(content.encode(), "t.json", missing=[])
    category = Category(missing=frozenset([""]))
    for row, back in zip(rows, found, strict=True):
        for name in source.names:
            given_back, sent = category.parse_cell(back[name]), category.parse_cell(row.get(name))
            assert given_back == sent or float(given_back) == float(sent)


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300) | st.text(max_size=200).map(str.encode), name=st.sampled_from(
    ["t.csv", "t.tsv", "t.jsonl", "t.json", "t.csv.gz", "t.parquet", "t.xlsx"]), mark=st.sampled_from(
    [b"", b"\x1f\x8b", codecs.BOM_UTF16_LE, b"PAR1", b"PK\x03\x04", b"a,b\n"]))  # fmt: skip
def test_any_bytes_are_read_or_refused_in_words(content, name, mark):
    with suppress(BadInput):
        rows_of(mark + content, name)
