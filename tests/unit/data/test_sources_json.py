"""JSON Lines and JSON arrays."""

import pyarrow as pa
import pytest

from volant.data.sources import jsonlines, read_source
from volant.errors import BadInput


def opened(tmp_path, content, name="t.jsonl"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_source(name, folder=tmp_path)


def table_of(source):
    return pa.Table.from_batches(list(source.chunks()))


def test_types_are_those_of_the_values(tmp_path):
    text = (
        '{"n": 1, "x": 1, "t": "a", "b": true, "l": [1, 2], "o": {"k": 1}, "e": null}\n{"n": 2, "x": 0.5, "b": null}\n'
    )
    table = table_of(opened(tmp_path, text))
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "n": "int64",
        "x": "double",
        "t": "string",
        "b": "bool",
        "l": "string",
        "o": "string",
        "e": "string",
    }
    assert table.to_pylist()[0] == {"n": 1, "x": 1.0, "t": "a", "b": True, "l": "[1, 2]", "o": '{"k": 1}', "e": None}
    assert table.to_pylist()[1] == {"n": 2, "x": 0.5, "t": None, "b": None, "l": None, "o": None, "e": None}


def test_mixed_values_become_text(tmp_path):
    source = opened(tmp_path, '{"a": 1}\n{"a": "x"}\n{"a": true}\n{"a": 1.0}\n')
    assert table_of(source)["a"].to_pylist() == ["1", "x", "true", "1"]
    assert source.notes["mixed_types"] == ["a"]


def test_chunks_of_different_kinds_get_one_schema(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonlines, "ROWS", 2)
    lines = ['{"a": 1, "b": 1}', '{"a": 2}', '{"a": "x", "b": 0.5}', '{"c": null}', '{"a": true}', '{"c": 7}']
    source = opened(tmp_path, "\n".join(lines))
    assert table_of(source).to_pydict() == {
        "a": ["1", "2", "x", None, "true", None],
        "b": [1.0, None, 0.5, None, None, None],
        "c": [None, None, None, None, None, 7],
    }
    assert source.notes["mixed_types"] == ["a"]
    assert source.schema.types == [pa.string(), pa.float64(), pa.int64()]


def test_large_numbers_and_half_characters(tmp_path):
    source = opened(tmp_path, '{"n": 123456789012345678901234567890, "t": "a\\ud800"}\n')
    assert table_of(source).to_pylist() == [{"n": "123456789012345678901234567890", "t": "a\ufffd"}]
    assert source.notes["encoding_damage"] == [0]


def test_nan_and_infinity_are_taken_as_python_writes_them(tmp_path):
    assert table_of(opened(tmp_path, '{"n": Infinity}\n{"n": NaN}\n'))["n"].to_pylist()[0] == float("inf")


@pytest.mark.parametrize("text", ["[]", "", "\n\n", "  [ ]  "])
def test_no_rows(tmp_path, text):
    with pytest.raises(BadInput) as raised:
        opened(tmp_path, text, "t.json")
    assert raised.value.code == "source-empty"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_arrays_are_read_a_piece_at_a_time(tmp_path, encoding, monkeypatch):
    monkeypatch.setattr(jsonlines, "_PIECE", 7)
    text = ' [ {"a": "é]", "b": 1.5},\n{"a": "y, {"} , {"b": -2e3}] '
    table = table_of(opened(tmp_path, text.encode(encoding), "t.json"))
    assert table.to_pydict() == {"a": ["é]", "y, {", None], "b": [1.5, None, -2000.0]}


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ('{"a": 1}\n{"a": \n', "a line is not JSON", "t.json, line 2"),
        ('{"a": 1}\n5\n', "a row is not a JSON object", "t.json, line 2"),
        ('{"a": 1}\n\n{"a": ' + "[" * 100_000 + "\n", "nested too deeply", "t.json, line 3"),
        ('[{"a": 1}, 5]', "a row is not a JSON object", "t.json, item 2"),
        ('[{"a": 1}, {"a": ]', "an item is not JSON", "t.json, item 2"),
        ('[{"a": 1} {"a": 2}]', "no comma after an item", "t.json, item 1"),
        ('[{"a": 1}', "the JSON array is not closed", "t.json, after item 1"),
        ("[" + "[" * 100_000, "nested too deeply", "t.json, item 1"),
        ('{"a": ' + "9" * 5000 + "}\n", "a line is not JSON", "t.json, line 1"),
        ('{"secret": "cell"', "a line is not JSON", "t.json, line 1"),
    ],
)
def test_broken_json_is_named_by_line(tmp_path, text, what, where):
    with pytest.raises(BadInput, match=what) as raised:
        opened(tmp_path, text, "t.json")
    assert raised.value.code == "source-unreadable"
    assert raised.value.troubles[0].where == where
    assert "cell" not in raised.value.text()


def test_an_array_item_that_never_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonlines, "LONGEST_LINE", 1000)
    for text in ('[{"a": "' + "x" * 9999, '{"a": "' + "x" * 9999 + '"}'):
        with pytest.raises(BadInput, match=r"too long|longer than"):
            opened(tmp_path, text, "t.json")


def test_too_many_keys(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonlines, "_MOST_NAMES", 10)
    with pytest.raises(BadInput, match="different keys"):
        opened(tmp_path, "".join(f'{{"k{n}": 1}}\n' for n in range(11)))
