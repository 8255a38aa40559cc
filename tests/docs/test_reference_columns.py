"""The pages about columns and sources say what is so."""

import re
from pathlib import Path

import pytest

from volant.columns.missing import TOKENS
from volant.core.plugins import column_type, names
from volant.data.sources.place import FORMATS

PAGES = Path(__file__).parents[2] / "docs" / "reference"
COLUMNS = (PAGES / "columns.md").read_text(encoding="utf-8")
SOURCES = (PAGES / "sources.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| (\w+) \| `(.+?)` \| (?:`(.+?)`|(missing|unreadable)) \|$", COLUMNS, re.MULTILINE)


def said(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(("kind", "cell", "value", "otherwise"), EXAMPLES)
def test_cells_are_read_as_the_page_says(kind, cell, value, otherwise):
    if otherwise == "unreadable":
        with pytest.raises(ValueError, match="expected"):
            column_type(kind).parse_cell(cell)
    elif otherwise == "missing":
        assert column_type(kind).parse_cell(cell) is None
    else:
        assert said(column_type(kind).parse_cell(cell)) == value


def test_every_type_has_an_example():
    assert {kind for kind, *_ in EXAMPLES} == set(names("columns"))


def test_the_texts_that_mean_missing_are_all_listed():
    listed = re.search(r"```text\n(NA .*?)\n```", COLUMNS, re.DOTALL)[1].split()
    assert {*listed, ""} == TOKENS


def test_every_ending_is_listed():
    assert [ending for ending in FORMATS if f"`{ending}`" not in SOURCES] == []
