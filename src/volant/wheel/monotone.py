"""Columns that predictions must rise or fall with, as the product file asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from volant.core.product import FILE, Product
from volant.core.records import Problem
from volant.errors import Trouble


def with_directions(product: Product, problem: Problem) -> Problem:
    """The problem with the directions that the product file gives to its columns."""
    asked = {name: section.monotone for name, section in product.file.columns.items() if section.monotone}
    if not asked:
        return problem
    inputs = tuple(replace(column, monotone=asked.get(column.name, "")) for column in problem.inputs)
    return replace(problem, inputs=inputs)


def wrong_directions(product: Product, problem: Problem) -> Iterator[Trouble]:
    """Directions that no prediction can keep to: of columns that are no numbers, or for several classes."""
    types = {column.name: column.type for column in problem.inputs}
    for name, section in product.file.columns.items():
        place = f"{FILE}, columns.{name}.monotone"
        if section.monotone is None:
            continue
        if len(problem.classes) > 2:
            what, got = "with more than two classes there is no one prediction to rise or fall", "classes"
            yield Trouble(what, place, f"{len(problem.classes)} {got}", (), "take it out, or predict a number")
        elif types.get(name) != "number":
            got = types.get(name, "no input")
            fix = "take it out, or give the column the type number and the role input"
            yield Trouble("predictions can be monotone in numbers alone", place, got, (), fix)
