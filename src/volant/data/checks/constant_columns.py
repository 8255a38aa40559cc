"""Columns that say the same in every row."""

from __future__ import annotations

from collections.abc import Sequence

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of
from volant.data.checks.study import Study


class ConstantColumns(DataCheck):
    """Warns about inputs with one value and nothing missing. A value here and there missing is information."""

    name = "constant_columns"
    summary = "No input has the same value in every row."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study, inputs = Study.of(data), inputs_of(data, problem)
        if len(study) < 2:
            return []
        names = [c.name for c in inputs if study.distinct(c.name) == 1 and not study.missing(c.name)]
        return [self._constant(name, len(study), len(inputs)) for name in names]

    def _constant(self, name: str, rows: int, inputs: int) -> Finding:
        return self._warn(
            f"{name!r} has the same value in all {rows:,} rows and can tell nothing",
            "give it the role ignored in volant.toml, or find out why it does not vary",
            column=name,
            count=rows,
            score=1 / inputs,
        )
