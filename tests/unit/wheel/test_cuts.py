"""Cut points of a split outlive the files of the version that they were found for: no row moves."""

import shutil

import pytest
from tests.commands import volant

from volant.core.product import read
from volant.wheel.collect import collect
from volant.wheel.context import work_on

FILE = """version = 1
name = "p"
[task]
type = "classify"
target = "y"
[data]
source = "data.csv"
[data.split]
by = "{by}"
judge = 0.2
test = 0.2
[columns.day]
type = "timestamp"
role = "time"
"""


def rows(first, last):
    lines = (f"{n % 37},{'ab'[n * 7 % 11 % 2]},2024-{1 + n // 28:02}-{1 + n % 28:02}" for n in range(first, last))
    return "\n".join(lines) + "\n"


def sides(folder):
    """The side of each row by its time."""
    with work_on(read(folder)) as context:
        data = collect(context)
        return dict(zip(data.table(["day"]).column(0).to_pylist(), data.sides().tolist(), strict=True))


@pytest.fixture(params=["time", "stratified"])
def product(request, tmp_path):
    (tmp_path / "volant.toml").write_text(FILE.format(by=request.param))
    (tmp_path / "data.csv").write_text("x,y,day\n" + rows(0, 150))
    return tmp_path


@pytest.mark.parametrize("damage", ["cut short", "gone"])
@pytest.mark.parametrize("grown", [False, True])
def test_no_row_moves_when_the_version_before_is_damaged(product, damage, grown):
    before = sides(product)
    for path in (product / ".volant/datasets").glob("*/dataset.json"):
        if damage == "gone":
            shutil.rmtree(path.parent)
        else:
            path.write_bytes(path.read_bytes()[:40])
    if grown:
        with (product / "data.csv").open("a") as stream:
            stream.write(rows(150, 250))
    after = sides(product)
    assert len(after) == (250 if grown else 150)
    assert {day: after[day] for day in before} == before
    assert volant("-C", str(product), "check")[0] in (0, 1)


def test_no_row_moves_while_the_rule_comes_back(product):
    """Another rule in between is forgotten with it: the first cuts still stand."""
    before, text = sides(product), (product / "volant.toml").read_text()
    (product / "volant.toml").write_text(text.replace("judge = 0.2", "judge = 0.1"))
    assert sides(product) != before
    (product / "volant.toml").write_text(text)
    with (product / "data.csv").open("a") as stream:
        stream.write(rows(150, 250))
    after = sides(product)
    assert {day: after[day] for day in before} == before
