"""The page of faults names the tests that there are, and all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \|.*\| ([^|]*) \|$")
WITHOUT = {36, 37, 38}
"""Sound, of which there is no column type."""


def covered() -> dict[int, set[str]]:
    """The files with tests of each row: a test's name begins with its rows, or else its file's does."""
    found: dict[int, set[str]] = {}
    for path in (ROOT / "tests" / "faults").glob("test_*.py"):
        tree = ast.parse(path.read_text())
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        for name in names:
            said = re.match(r"test_\d\d(_and_\d\d)*_", name) or re.match(r"test_\d\d_", path.name)
            for number in re.findall(r"\d\d", said[0]) if said else ():
                found.setdefault(int(number), set()).add(path.name)
    return found


def test_every_fault_is_shown_by_the_tests_that_the_page_names():
    page = (ROOT / "docs" / "reference" / "faults.md").read_text()
    rows = {
        int(found[1]): set(re.findall(r"`(test_\w+\.py)`", found[2]))
        for found in map(ROW.match, page.splitlines())
        if found
    }
    assert sorted(rows) == list(range(1, 85))
    assert {number: files for number, files in rows.items() if files} == covered()
    assert {number for number, files in rows.items() if not files} == WITHOUT
