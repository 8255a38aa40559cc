"""Rows that are in the data twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import PARTS, Finding, Problem
from volant.data.checks.base import DataCheck, many, share
from volant.data.checks.hashing import collision, equal_pairs, hash_column, pairs_by_chance
from volant.data.checks.study import Study

SHARE = 0.0005
CHANCE = 3.0


class ExactDuplicates(DataCheck):
    """Warns when more rows are repeated than coarse values explain, and when copies lie on two sides."""

    name = "exact_duplicates"
    summary = "No rows are in the data twice, and none on two sides of the split."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study = Study.of(data)
        names = [c.name for c in study.schema.columns if c.role != "ignored"]
        if len(study) < 2 or not names:
            return []
        repeated, first = repeated_rows(study, names)
        if len(repeated) < least(study, names, SHARE):
            return []
        return [self._inside(study, repeated), *self._across(study, repeated, first)]

    def _inside(self, study: Study, repeated: np.ndarray) -> Finding:
        n = len(study)
        rows = many(len(repeated), "row repeats", "rows repeat")
        return self._warn(
            f"{rows} an earlier row in every column ({share(len(repeated), n)})",
            "leave repetitions out of the source, unless each is a case of its own",
            rows=study.evidence(repeated),
            count=len(repeated),
            score=len(repeated) / n,
        )

    def _across(self, study: Study, repeated: np.ndarray, first: np.ndarray) -> list[Finding]:
        sides = study.sides()
        split = (sides[repeated] != sides[first]) & (sides[repeated] >= 0) & (sides[first] >= 0)
        if not split.any():
            return []
        count = int(split.sum())
        what = f"{many(count, 'row has', 'rows have')} an exact copy on another side of the split ({', '.join(PARTS)})"
        fix = "leave repetitions out, or name the subject or group column so that they stay on one side"
        rows = study.evidence(repeated[split])
        return [self._warn(what, fix, rows=rows, count=int(split.sum()), score=min(1.0, 5 * split.sum() / len(study)))]


def media_among(study: Study, names: Sequence[str]) -> list[str]:
    """The columns whose cells are files."""
    return [name for name in names if study.kind(name) == "media"]


def least(study: Study, names: Sequence[str], share: float) -> float:
    """Rows from which on it is worth telling that they repeat. Of files each one is: they are never equal by chance."""
    return 1 if media_among(study, names) else max(2, share * len(study))


def repeated_rows(study: Study, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows that repeat an earlier one in all columns, and that earlier row: positions (r,) and (r,).

    Both are empty where coarse values alone explain the repetitions. Rows without any of their files repeat nothing.
    """
    with np.errstate(over="ignore"):
        total = np.zeros(len(study), dtype=np.uint64)
        for name in names:
            total += hash_column(study, name)
        order = np.argsort(total, kind="stable")
        again = total[order][1:] == total[order][:-1]
        if media := media_among(study, names):
            again &= np.any([study.filled(name)[order[1:]] for name in media], axis=0)
        repeated = order[1:][again]
        if len(repeated) == 0 or explained(study, names):
            return order[:0], order[:0]
    starts = np.flatnonzero(np.append(True, ~again))
    firsts = order[starts[np.cumsum(np.append(True, ~again)) - 1]][1:][again]
    place = np.argsort(repeated, kind="stable")
    return repeated[place], firsts[place]


def explained(study: Study, names: Sequence[str]) -> bool:
    """Whether rows this coarse repeat as often by chance, judged on a sample. Files are never equal by chance."""
    if media_among(study, names):
        return False
    sample = study.sample()
    parts = {name: hash_column(sample, name) for name in names}
    total = sum(parts.values(), np.zeros(len(sample), dtype=np.uint64))
    expected = pairs_by_chance(parts, total, {name: collision(sample, name) for name in names})
    return bool(equal_pairs(total) <= CHANCE * expected + 4 * expected**0.5)
