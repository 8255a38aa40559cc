"""Numbers far outside everything else in their column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, is_classes, many, target_of
from volant.data.checks.extremes import apart
from volant.data.checks.impossible_values import HUGE
from volant.data.checks.study import Study


class Outliers(DataCheck):
    """Warns about numbers separated from the rest by a gap, as slips of a unit or of a decimal point are."""

    name = "outliers"
    summary = "No number stands far apart from all others in its column."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study, target = Study.of(data), target_of(data, problem, context)
        names = [c.name for c in inputs_of(data, problem) if c.type == "number" and c.name != target]
        if target and not is_classes(data, problem, context):
            names.append(target)
        found = ((name, _apart(study, name)) for name in names if study.kind(name) == "number")
        return [self._column(study, name, where) for name, where in found if where.any()]

    def _column(self, study: Study, name: str, where: np.ndarray) -> Finding:
        count = int(where.sum())
        return self._warn(
            f"{many(count, 'value', 'values')} of {name!r} {'is' if count == 1 else 'are'} far outside all others",
            "look at these rows: correct slips of unit or decimal point, and leave the rest as it is",
            column=name,
            rows=study.evidence(where),
            count=count,
            score=min(1.0, 0.2 + 10 * count / len(study)),
        )


def _apart(study: Study, name: str) -> np.ndarray:
    values = study.values(name)
    return apart(np.where(np.abs(values) > HUGE, np.nan, values))
