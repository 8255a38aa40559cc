"""Gaps that are not there by chance: whether a value is missing tells the target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.association import correlation_ratio, cramers_v
from volant.data.checks.base import DataCheck, inputs_of, is_classes, many, target_of
from volant.data.checks.study import Study

ROWS = 50_000
LEAST = 20
EFFECT = 0.15
CERTAIN = 20.0
"""Standard deviations above chance, for one column among many."""


class MissingTells(DataCheck):
    """Compares the target of rows with and without each value."""

    name = "missing_tells"
    summary = "Whether an input is missing does not tell the target."
    aspect = "completeness"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        target = target_of(data, problem, context)
        if target is None:
            return []
        classes = is_classes(data, problem, context)
        study = Study.of(data)
        sample = study.sample(ROWS)
        names = [c.name for c in inputs_of(data, problem) if c.name != target]
        together: dict[bytes, list[str]] = {}
        for name in names:
            if study.missing(name):
                together.setdefault(np.packbits(sample.filled(name)).tobytes(), []).append(name)
        effects = [(group, gap_effect(sample, group[0], target, classes)) for group in together.values()]
        return [self._tells(study, group, effect, sample.said) for group, effect in effects if effect >= EFFECT]

    def _tells(self, study: Study, group: Sequence[str], effect: float, said: str) -> Finding:
        name, others = group[0], len(group) - 1
        like = f" (and with it {many(others, 'other column', 'other columns')})" if others else ""
        return self._warn(
            f"whether {name!r}{like} is missing tells the target (strength {effect:.2f} of 1){said}",
            "ask why it is missing: if it is filled in after the outcome is known, give it the role ignored",
            column=name,
            rows=study.evidence(~study.filled(name)),
            count=study.missing(name),
            score=min(effect, 1.0),
        )


def gap_effect(sample: Study, name: str, target: str, classes: bool) -> float:
    """How strongly missingness and target go together, in [0, 1]; 0 where chance would do."""
    gaps = ~sample.filled(name)
    known = sample.filled(target)
    if not classes:
        known &= np.isfinite(sample.values(target))
    gaps = gaps[known].astype(np.int64)
    if min(gaps.sum(), len(gaps) - gaps.sum()) < LEAST:
        return 0.0
    if classes:
        codes = sample.codes(target)
        table = np.bincount(gaps * codes.count + codes.codes[known], minlength=2 * codes.count)
        effect, surprise = cramers_v(table.reshape(2, codes.count))
    else:
        squared, surprise = correlation_ratio(gaps, sample.values(target)[known])
        effect = float(np.sqrt(squared))
    return effect if surprise > CERTAIN else 0.0
