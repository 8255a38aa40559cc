"""Directions that the product file gives to columns: carried to the problem, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from volant.core.product import Product, parse
from volant.core.records import Column, Problem
from volant.errors import BadInput
from volant.wheel.monotone import with_directions, wrong_directions

HEAD = 'version = 1\nname = "p"\n[task]\ntype = "regress"\ntarget = "y"\n[data]\nsource = "d.csv"\n'
INPUTS = (Column("size", "number"), Column("kind", "category"))


def product(text=""):
    return Product(Path("here"), parse(HEAD + text))


def problem(*classes):
    return Problem("classify" if classes else "regress", "y", INPUTS, 100, classes, "rmse")


def test_a_direction_reaches_the_column():
    posed = with_directions(product('[columns.size]\nmonotone = "decreasing"\n'), problem())
    assert [column.monotone for column in posed.inputs] == ["decreasing", ""]


def test_without_directions_the_problem_stays_as_it_is():
    given = problem("no", "yes")
    assert with_directions(product(), given) is given
    assert list(wrong_directions(product(), given)) == []


def test_two_classes_and_numbers_may_have_directions():
    asked = product('[columns.size]\nmonotone = "increasing"\n')
    assert list(wrong_directions(asked, problem())) == []
    assert list(wrong_directions(asked, problem("no", "yes"))) == []


@pytest.mark.parametrize(
    ("name", "classes", "got"),
    [("size", ("a", "b", "c"), "3 classes"), ("kind", (), "category"), ("other", (), "no input")],
)
def test_what_cannot_be_monotone_is_refused_with_its_place(name, classes, got):
    (trouble,) = wrong_directions(product(f'[columns.{name}]\nmonotone = "increasing"\n'), problem(*classes))
    assert trouble.where == f"volant.toml, columns.{name}.monotone"
    assert trouble.got == got
    assert trouble.fix


def test_another_word_is_no_direction():
    with pytest.raises(BadInput) as refused:
        product('[columns.size]\nmonotone = "up"\n')
    assert refused.value.code == "product-file-invalid"
    assert "increasing" in str(refused.value)
