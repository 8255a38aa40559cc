"""What the checks of pictures share."""

from __future__ import annotations

from collections.abc import Iterator

from volant.columns.looks import Looks
from volant.core.protocols import Rows
from volant.core.records import Problem
from volant.data.checks.base import inputs_of
from volant.data.checks.study import Study

QUICK = 4_000
"""Pictures that quick checks look at: a random sample of larger data."""


def pictures_in(data: Rows, problem: Problem | None, most: int = QUICK) -> Iterator[tuple[str, Study, Looks]]:
    """The columns of pictures among the inputs, with a sample of the rows and what their pictures look like."""
    names = [column.name for column in inputs_of(data, problem) if column.type == "image"]
    if not names or not len(data):
        return
    sample = Study.of(data).sample(most)
    for name in names:
        looks = sample.looks(name)
        if looks.known.any():
            yield name, sample, looks


def total(count: float, sample: Study) -> int:
    """How many rows of all, where so many of a sample were found."""
    return round(count * sample.of_rows / max(len(sample), 1))
