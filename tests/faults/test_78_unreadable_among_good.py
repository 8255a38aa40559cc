"""Unreadable files among good ones: the file is named and nothing is left out silently."""

import pytest

from volant.data.sources import read_source
from volant.errors import BadInput

GOOD = "size,label\n" + "\n".join(f"{i},{'yes' if i % 2 else 'no'}" for i in range(40)) + "\n"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("name", "content"), [("c.parquet", PNG), ("c.xlsx", PNG), ("c.jsonl", b'{"size": 1, "label": "yes"}\n{"size": ')]
)
def test_78_the_unreadable_file_is_named(tmp_path, name, content):
    for good in ("a.csv", "b.csv"):
        (tmp_path / good).write_text(GOOD)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as bad:
        for _ in read_source(str(tmp_path), folder=tmp_path).chunks():
            pass
    assert bad.value.code.startswith("source-")
    assert name in str(bad.value)


def test_78_all_files_that_can_be_read_are_read(tmp_path):
    for good in ("a.csv", "b.csv"):
        (tmp_path / good).write_text(GOOD)
    source = read_source(str(tmp_path), folder=tmp_path)
    assert sum(len(chunk) for chunk in source.chunks()) == 80
