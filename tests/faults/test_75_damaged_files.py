"""Row 75, reading: a wrong encoding, mixed types, ragged rows, a line that never ends."""

import subprocess
import sys
import textwrap

import pyarrow as pa
import pytest

from volant.columns.number import Number
from volant.data.infer import infer_schema
from volant.data.sources import read_source
from volant.errors import BadInput


def opened(folder, content, name="t.csv"):
    (folder / name).write_bytes(content)
    return read_source(name, folder=folder)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk", "gb18030"])
def test_encodings_are_found_out(tmp_path, encoding):
    text = "姓名,流失\n" + "王伟,是\n李娜,否\n" * 3
    source = opened(tmp_path, text.encode(encoding))
    assert source.names == ("姓名", "流失")


def test_a_wrong_byte_is_noted_and_does_not_stop(tmp_path):
    source = opened(tmp_path, "名,n\n".encode() + "好的,1\n".encode() * 99 + b"\xff\xfe,2\n")
    assert len(pa.Table.from_batches(list(source.chunks()))) == 100
    assert source.notes["encoding_damage"] == [99]


def test_mixed_types_are_listed_as_unreadable(tmp_path):
    source = opened(tmp_path, b"n,y\n" + b"1,a\n" * 95 + b"twelve,b\n" * 5)
    table = pa.Table.from_batches(list(source.chunks()))
    assert infer_schema(table, "y")["n"].type == "number"
    assert Number().parse(table["n"]).unreadable.tolist() == [95, 96, 97, 98, 99]


def test_ragged_rows_are_refused_by_line(tmp_path):
    source = opened(tmp_path, b"a,b\n1,2\n3\n4,5,6\n")
    with pytest.raises(BadInput) as raised:
        list(source.chunks())
    assert raised.value.code == "source-unreadable"
    assert [t.where for t in raised.value.troubles] == ["t.csv, line 3", "t.csv, line 4"]
    assert [t.what for t in raised.value.troubles] == ["a row has 1 cells, not 2", "a row has 3 cells, not 2"]


LONG = {
    "a line without end": (b"a,b\n1,", b"x" * 60_000_000),
    "no line ends at all": (b"", b"1,2," * 15_000_000),
    "a quotation mark never closed": (b'a,b\n1,"', b"x\n" * 30_000_000),
}


@pytest.mark.parametrize("case", LONG)
def test_a_line_that_never_ends_is_refused_in_bounded_memory(tmp_path, case):
    """In a process of its own, so that its memory can be measured and limited."""
    begin, rest = LONG[case]
    (tmp_path / "t.csv").write_bytes(begin + rest)
    code = """
        import resource, sys
        from pathlib import Path
        from volant.data.sources import read_source, delimited
        from volant.errors import BadInput
        try:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for chunk in read_source("t.csv", folder=Path(sys.argv[1])).chunks():
                pass
        except BadInput as error:
            print(error.code, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error.what)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], capture_output=True, text=True, check=True
    )
    status, megabytes, what = run.stdout.strip().split(" ", 2)
    assert status == "source-unreadable"
    assert "longer than" in what
    assert int(megabytes) < 250, "the line was read into memory"


def test_a_long_line_of_json(tmp_path):
    with pytest.raises(BadInput, match="longer than 4 MiB"):
        opened(tmp_path, b'{"a": "' + b"x" * 30_000_000 + b'"}', "t.jsonl")
    with pytest.raises(BadInput, match="too long"):
        opened(tmp_path, b'[{"a": "' + b"x" * 30_000_000, "t.json")
