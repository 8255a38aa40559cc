"""Columns whose values change over time, or from file to file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of
from volant.data.checks.shift import Shift, shifts
from volant.data.checks.study import Study

ROWS = 50_000
QUARTERS = ("the first quarter", "the second quarter", "the third quarter", "the last quarter")


class Drift(DataCheck):
    """Compares four quarters of the time column, and each file with the others.

    Readers of several files give `notes["files"]`, a mapping of names to numbers of rows in reading order.
    """

    name = "drift"
    summary = "The inputs and the target look alike over time and in every file."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study = Study.of(data).sample(ROWS)
        if not len(study):
            return []
        times = {c.name for c in data.schema.of_role("time")}
        names = [c.name for c in (*inputs_of(data, problem), *data.schema.of_role("target")) if c.name not in times]
        found = [f for time in times for f in self._over_time(study, names, time)]
        return found + self._between_files(study, names, context.notes.get("files"))

    def _over_time(self, study: Study, names: Sequence[str], time: str) -> list[Finding]:
        if study.kind(time) not in ("time", "number"):
            return []
        moments = study.values(time)
        known = np.flatnonzero(np.isfinite(moments))
        groups = np.full(len(study), -1)
        groups[known[np.argsort(moments[known], kind="stable")]] = np.arange(len(known)) * 4 // max(len(known), 1)
        fix = 'split by time (data.split.by = "time"), so that the product is judged on the latest rows'
        return [self._shift(s, QUARTERS[s.group] + " of time", fix, study) for s in shifts(study, names, groups)]

    def _between_files(self, study: Study, names: Sequence[str], files: object) -> list[Finding]:
        if not isinstance(files, Mapping) or len(files) < 2:
            return []
        ends = np.cumsum([int(rows) for rows in files.values()])
        groups = np.searchsorted(ends, study.numbers(), side="right")
        groups[groups >= len(ends)] = -1
        fix = "check that the files have the same units, codes and source; leave out the one that does not belong"
        found = shifts(study, names, groups)
        return [self._shift(s, f"file {s.group + 1} of {len(files)}", fix, study) for s in found]

    def _shift(self, shift: Shift, where: str, fix: str, study: Study) -> Finding:
        what = f"{shift.column!r} differs in {where} from the other rows (by {shift.size:.0%} of them){study.said}"
        return self._warn(what, fix, column=shift.column, score=min(1.0, shift.size))
