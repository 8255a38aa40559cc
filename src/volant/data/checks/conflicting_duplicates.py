"""Equal inputs with different targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, is_classes, many, share, target_of
from volant.data.checks.exact_duplicates import least, repeated_rows
from volant.data.checks.study import Study

SHARE = 0.001
FAR = 0.5
"""Numbers conflict when they lie further apart than this many standard deviations."""


class ConflictingDuplicates(DataCheck):
    """Warns when rows that agree in every input disagree in the target, beyond what coarse inputs explain."""

    name = "conflicting_duplicates"
    summary = "Rows with the same inputs have the same target."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study, target = Study.of(data), target_of(data, problem, context)
        names = [c.name for c in inputs_of(data, problem) if c.name != target]
        if target is None or len(study) < 2 or not names:
            return []
        repeated, first = repeated_rows(study, names)
        if not len(repeated):
            return []
        differs = _classes_differ if is_classes(data, problem, context) else _numbers_differ
        conflict = differs(study, target, repeated, first)
        if conflict.sum() < least(study, names, SHARE):
            return []
        return [self._conflict(study, target, repeated[conflict], first[conflict])]

    def _conflict(self, study: Study, target: str, repeated: np.ndarray, first: np.ndarray) -> Finding:
        count = len(repeated)
        rows = many(count, "row equals", "rows equal")
        return self._warn(
            f"{rows} an earlier row in all but the target ({share(count, len(study))})",
            "correct the labels, or add the column in which these rows differ",
            column=target,
            rows=study.evidence(np.stack([first, repeated], axis=1).ravel()),
            count=count,
            score=min(1.0, 5 * count / len(study)),
        )


def _classes_differ(study: Study, target: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    codes = study.codes(target).codes
    differ: np.ndarray = (codes[left] != codes[right]) & (codes[left] >= 0) & (codes[right] >= 0)
    return differ


def _numbers_differ(study: Study, target: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    values = study.values(target)
    usual = values[np.isfinite(values)]
    far: np.ndarray = np.abs(values[left] - values[right]) > FAR * (usual.std() if len(usual) else 0.0)
    return far
