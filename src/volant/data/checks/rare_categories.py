"""Categories that occur too seldom to be learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, share, target_of
from volant.data.checks.study import Study

RARE = 5
SHARE = 0.1
LEAST = 200
UNIQUE = 0.9
"""A column with more different values than this per row is an identifier, which is another check's affair."""


class RareCategories(DataCheck):
    """Warns about category inputs of which many rows hold a value seen fewer than 5 times."""

    name = "rare_categories"
    summary = "Few rows hold a category that hardly ever occurs."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study, target = Study.of(data), target_of(data, problem, context)
        if len(study) < LEAST:
            return []
        names = [c.name for c in inputs_of(data, problem) if c.type == "category" and c.name != target]
        found = (self._column(study, name) for name in names if study.kind(name) == "text")
        return [finding for finding in found if finding]

    def _column(self, study: Study, name: str) -> Finding | None:
        codes = study.codes(name)
        sizes = codes.sizes()
        rare = sizes < RARE
        rows = int(sizes[rare].sum())
        if rows < SHARE * len(study) or codes.count > UNIQUE * sizes.sum():
            return None
        values = f"{int(rare.sum()):,} values of {name!r} seen fewer than {RARE} times"
        what = f"{share(rows, len(study))} of the rows hold one of {values}"
        where = np.flatnonzero(np.append(rare, False)[codes.codes])
        fix = "group the rare values, or use a coarser column"
        return self._warn(
            what, fix, column=name, rows=study.evidence(where), count=rows, score=min(1.0, rows / len(study))
        )
