"""Too few rows to learn or to judge anything."""

from __future__ import annotations

from collections.abc import Sequence

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, target_of
from volant.data.checks.study import Study

LEAST = 20
COMFORTABLE = 100


class EnoughRows(DataCheck):
    """Stops below 20 rows with a target, warns below 100."""

    name = "enough_rows"
    summary = "There are enough rows with a target to learn from and to judge by."
    aspect = "completeness"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        if not len(data):
            return [self._stop("the data has no rows", "point the product file at data with rows")]
        target = target_of(data, problem, context)
        rows = int(Study.of(data).filled(target).sum()) if target else len(data)
        of = " with a target" if target else ""
        if rows < LEAST:
            what = f"there {'is only one row' if rows == 1 else f'are only {rows} rows'}{of}; training needs {LEAST}"
            return [self._stop(what, f"collect at least {LEAST} rows, better {COMFORTABLE} or more", count=rows)]
        if rows < COMFORTABLE:
            what = f"there are only {rows} rows{of}; every measurement on them will be rough"
            fix = f"collect {COMFORTABLE} rows or more, or expect wide intervals"
            return [self._warn(what, fix, count=rows, score=1 - rows / COMFORTABLE)]
        return []
