"""Files of answers appear whole or not at all, and never in the place of what was asked."""

import pytest

from volant.errors import BadInput
from volant.wheel.predict import _refuse_same, whole_file


def test_a_file_that_breaks_off_leaves_the_old_one(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(TypeError), whole_file(path) as stream:
        stream.writelines([b"half", None])
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.csv", "old")]


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path):
    (tmp_path / "taken.csv").mkdir()
    for path in (tmp_path / "nowhere" / "out.csv", tmp_path / "taken.csv"):
        with pytest.raises(BadInput, match="cannot be written"), whole_file(path) as stream:
            stream.write(b"all")
    assert [p.name for p in tmp_path.iterdir()] == ["taken.csv"]


def test_the_input_is_not_overwritten(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x\n1\n")
    (tmp_path / "link.csv").symlink_to(path)
    with pytest.raises(BadInput, match="replace the input"):
        _refuse_same(path, tmp_path / "link.csv")
    _refuse_same(path, tmp_path / "other.csv")
