"""Delimited files: encodings, delimiters, quotation marks, headers."""

import codecs

import pyarrow as pa
import pytest

from volant.data.sources import read_source
from volant.data.sources.dialect import detect, has_header
from volant.errors import BadInput

CHINESE = "姓名,城市,年龄\n张三,北京,20\n李四,上海,30\n王五,广州,25\n"
FRENCH = "prénom,ville\nHélène,Orléans\nÉric,Nîmes\n"


def opened(tmp_path, content, name="t.csv"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_source(name, folder=tmp_path)


def rows_of(source):
    return [tuple(row.values()) for row in pa.Table.from_batches(list(source.chunks())).to_pylist()]


@pytest.mark.parametrize(
    ("text", "encoding", "noted"),
    [
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8"),
        (CHINESE, "utf-16", "utf-16-le"),
        (CHINESE, "utf-16-be", "utf-16-be"),
        (CHINESE, "gbk", "gb18030"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "utf-32", "utf-32-le"),
        (FRENCH, "latin-1", "cp1252"),
        (FRENCH, "cp1252", "cp1252"),
        (FRENCH, "utf-16-le", "utf-16-le"),
        ("имя,город\nИван,Москва\nПётр,Казань\n", "cp1251", "cp1251"),
    ],
)
def test_encodings(tmp_path, text, encoding, noted):
    source = opened(tmp_path, text.encode(encoding))
    expected = [tuple(line.split(",")) for line in text.splitlines()]
    assert [source.names, *rows_of(source)] == expected
    assert source.notes["encoding"] == noted
    assert "encoding_damage" not in source.notes


def test_a_legacy_letter_far_down_decides_for_the_whole_file(tmp_path):
    source = opened(tmp_path, b"a,b\n" + b"x,1\n" * 400_000 + "é,1\n".encode("latin-1"))
    assert source.notes["encoding"] == "cp1252"
    assert rows_of(source)[-1] == ("é", "1")


def test_damaged_characters_are_noted_by_row(tmp_path):
    good = "城市好,是\n".encode()
    source = opened(tmp_path, "名,b\n".encode() + good * 3 + b"\xe5\x9f,x\n" + good + "\ufffd,y\n".encode())
    assert rows_of(source)[3] == ("\ufffd", "x")
    assert source.notes["encoding"] == "utf-8"
    assert source.notes["encoding_damage"] == [3, 5]
    assert source.notes["encoding_damage_count"] == 2


def test_nul_bytes_are_left_out_and_noted(tmp_path):
    source = opened(tmp_path, b"a,b\n" + b"x,1\n" * 200 + b"y\0,2\n")
    assert rows_of(source)[-1] == ("y", "2")
    assert source.notes["nul_bytes"] == 1


@pytest.mark.parametrize(
    ("text", "delimiter", "first"),
    [
        ("a,b\n1,2\n", ",", ("1", "2")),
        ("a;b\n1,5;2,5\n3,5;4\n", ";", ("1,5", "2,5")),
        ("a\tb\n1, x\t2, y\n", "\t", ("1, x", "2, y")),
        ("a|b\n1|2\n", "|", ("1", "2")),
        ("sep=;\na;b\n1;2\n", ";", ("1", "2")),
        ("one\nx\ny\n", None, ("x",)),
        ("comment\nhello, world\ngood day\n", None, ("hello, world",)),
        ("a,b\r\n1,2\r\n", ",", ("1", "2")),
        ("a,b\r1,2\r", ",", ("1", "2")),
        ("\n\na,b\n\n1,2\n\n", ",", ("1", "2")),
    ],
)
def test_delimiters_and_line_ends(tmp_path, text, delimiter, first):
    source = opened(tmp_path, text)
    assert source.notes["delimiter"] == delimiter
    assert rows_of(source)[0] == first


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('a,b\n"x, y","say ""hi"""\n', [("x, y", 'say "hi"')]),
        ('a,b\n"two\nlines",1\n', [("two\nlines", "1")]),
        ("a,b\n'x, y',1\n'z',2\n'w',3\n", [("x, y", "1"), ("z", "2"), ("w", "3")]),
        ("a,b\n1,it's\n2,o'clock\n", [("1", "it's"), ("2", "o'clock")]),
        ('a,b\n"say \\"hi\\"",1\n"x",2\n', [('say "hi"', "1"), ("x", "2")]),
        ('a,b\n5" pipe,1\n', [('5" pipe', "1")]),
        ('"a\nb",c\n1,2\n', [("1", "2")]),
    ],
)
def test_quotation_marks(tmp_path, text, rows):
    assert rows_of(opened(tmp_path, text)) == rows


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        (["name,age", "Ann,31", "Bo,4"], True),
        (["Ann,31", "Bo,4", "Cy,7"], False),
        (["1,2", "3,4"], False),
        (["yes,red", "no,blue", "yes,red"], False),
        (["answer,colour", "no,blue", "yes,red"], True),
        (["country,2019,2020,2021", "FR,1,2,3", "DE,4,5,6"], True),
        (["day,n", "2024-01-01,4"], True),
        (["2024-01-01,4", "2024-01-02,5"], False),
        (["a,b"], True),
        (["1,2"], False),
        ([",a,b", "0,1,2", "1,3,4"], True),
        (["label,0,1,2", "5,9,9,9", "6,9,8,7"], True),
        (["0,1,2,3,4", "9,9,9,9,9"], True),
        (["1,2,3", "4,5,6"], False),
        (["name,sex,n", "name,sex,4", "Ann,f,5"], True),
        (["label", "good", "bad", "good"], True),
        (["good", "bad", "good"], False),
    ],
)
def test_headers(rows, header):
    assert has_header([row.split(",") for row in rows]) is header


def test_without_header_columns_are_numbered(tmp_path):
    source = opened(tmp_path, "1,2\n3,4\n")
    assert source.names == ("column_1", "column_2")
    assert source.notes["header"] is False
    assert rows_of(source) == [("1", "2"), ("3", "4")]


def test_names_are_repaired_and_noted(tmp_path):
    source = opened(tmp_path, "a, b ,,a,a_2\n1,2,3,4,5\n")
    assert source.names == ("a", "b", "column_3", "a_3", "a_2")
    assert source.notes["renamed"] == {"3": "column_3", "4": "a_3"}


def test_ragged_rows_are_refused_with_their_lines(tmp_path):
    source = opened(tmp_path, 'a,b,c\n1,2,3\n4,5\n\n"x\ny",2,3\n6,7,8,9\n')
    with pytest.raises(BadInput) as raised:
        list(source.chunks())
    error = raised.value
    assert error.code == "source-unreadable"
    assert "2 rows do not have 3 cells" in error.what
    assert [(t.where, t.got) for t in error.troubles] == [("t.csv, line 3", "2 cells"), ("t.csv, line 7", "4 cells")]
    assert "quotation marks around cells that contain a ','" in error.troubles[0].fix


def test_ragged_rows_far_down_are_found(tmp_path):
    source = opened(tmp_path, "a,b\n" + "x,1\n" * 100_000 + "y\n")
    with pytest.raises(BadInput, match="1 row does not have 2 cells") as raised:
        list(source.chunks())
    assert raised.value.troubles[0].where == "t.csv, line 100002"


def test_a_quotation_mark_that_is_never_closed(tmp_path):
    source = opened(tmp_path, 'a,b\n1,x\n2,"never\n3,y\n4,z\n')
    with pytest.raises(BadInput, match="never closed") as raised:
        list(source.chunks())
    assert raised.value.troubles[0].where == "t.csv, line 3"
    assert rows_of(opened(tmp_path, 'a,b\n1,"two\nlines"\n')) == [("1", "two\nlines")]


def test_no_error_quotes_a_cell(tmp_path):
    source = opened(tmp_path, "a,b\nsecret-1,1\nsecret-2\n")
    with pytest.raises(BadInput) as raised:
        list(source.chunks())
    assert "secret" not in raised.value.text()


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", b"PK\x03\x04rest", bytes(range(256)) * 40, b"PAR1xxxx"])
def test_what_is_no_text_is_refused(tmp_path, content):
    with pytest.raises(BadInput, match="not a text file") as raised:
        opened(tmp_path, content)
    assert raised.value.code == "source-unreadable"


def test_damaged_gzip_is_refused(tmp_path):
    import gzip

    for content in (gzip.compress(b"a,b\n1,2\n" * 999)[:-20], b"\x1f\x8bnonsense"):
        with pytest.raises(BadInput, match="damaged or cut off"):
            opened(tmp_path, content, "t.csv.gz")


def test_detect_takes_no_rows():
    assert detect("", whole=True) is None
    assert detect("\n\n", whole=True) is None


def test_a_cut_head_does_not_mislead():
    head = 'a;b\n1;"x\n' + "2;y\n" * 3
    assert detect(head, whole=False).delimiter == ";"


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_a_mark_alone_is_an_empty_file(tmp_path, mark):
    with pytest.raises(BadInput) as raised:
        opened(tmp_path, mark)
    assert raised.value.code == "source-empty"


def test_a_header_wider_than_the_first_look(tmp_path):
    names = [f"a_rather_long_name_{n}" for n in range(15_000)]
    source = opened(tmp_path, ",".join(names) + "\n" + ",".join(["1"] * len(names)) + "\n")
    assert source.names == tuple(names)
    assert len(rows_of(source)) == 1
