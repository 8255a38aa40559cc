"""Columns and rows that are mostly empty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, many, share
from volant.data.checks.study import Study

MUCH = 0.5


class MissingValues(DataCheck):
    """Warns about inputs of which half or more is missing, and about rows without any input."""

    name = "missing_values"
    summary = "No input is mostly empty, and no row entirely."
    aspect = "completeness"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study = Study.of(data)
        names = [c.name for c in inputs_of(data, problem)]
        if not len(study) or not names:
            return []
        found = [self._column(study, name) for name in names if study.missing(name) >= MUCH * len(study)]
        return found + self._empty_rows(study, names)

    def _column(self, study: Study, name: str) -> Finding:
        missing = study.missing(name)
        if missing == len(study):
            what, fix = f"{name!r} has no values at all", "fill it in, or give it the role ignored in volant.toml"
        else:
            what = f"{share(missing, len(study))} of {name!r} is missing"
            fix = "find out why; fill it in where the value is known, or give it the role ignored"
        rows = study.evidence(~study.filled(name))
        return self._warn(what, fix, column=name, rows=rows, count=missing, score=missing / len(study))

    def _empty_rows(self, study: Study, names: Sequence[str]) -> list[Finding]:
        empty = np.ones(len(study), dtype=bool)
        for name in names:
            if not empty.any():
                return []
            empty &= ~study.filled(name)
        count = int(empty.sum())
        if not count or count == len(study):
            return []
        what = f"{many(count, 'row has', 'rows have')} no input at all"
        fix = "leave such rows out of the source"
        return [self._warn(what, fix, rows=study.evidence(empty), count=count, score=count / len(study))]
