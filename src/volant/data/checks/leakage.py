"""One input that alone tells the target is more likely a leak than a discovery."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.association import Outcome, Skill, class_outcome, number_outcome, skill
from volant.data.checks.base import DataCheck, inputs_of, is_classes, share, target_of
from volant.data.checks.study import Study
from volant.data.checks.target_copy import copies

ROWS = 20_000
LEAST = 50
SUSPICIOUS = 0.98
PERFECT = 0.9995


class Leakage(DataCheck):
    """Predicts the target from each input alone, every row without itself, and looks who is too good."""

    name = "leakage"
    summary = "No input alone predicts the target almost perfectly."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        target = target_of(data, problem, context)
        if target is None:
            return []
        classes = is_classes(data, problem, context)
        study = Study.of(data)
        known = {name for name, _ in copies(study, target, inputs_of(data, problem), classes)}
        sample = study.sample(ROWS)
        rows, outcome = outcome_of(sample, target, classes)
        if outcome is None:
            return []
        names = [c.name for c in inputs_of(data, problem) if c.name not in known and c.name != target]
        judged = [(name, _alone(sample, name, rows, outcome)) for name in names]
        return [self._leak(name, s, outcome, sample) for name, s in judged if s and s.score >= SUSPICIOUS]

    def _leak(self, name: str, skill: Skill, outcome: Outcome, sample: Study) -> Finding:
        n = len(outcome.truth)
        told = (
            f"is wrong in {skill.wrong:,} of {n:,} rows"
            if outcome.classes
            else f"explains {share(skill.score, 1)} of it"
        )
        perfect = _perfect(skill, outcome)
        word = "perfectly" if perfect else "almost perfectly"
        what = f"{name!r} alone predicts the target {word}: it {told}{sample.said}"
        fix = (
            "ask whether it is known when a prediction is made; if it is written down afterwards or derived from "
            "the target, give it the role ignored in volant.toml"
        )
        make = self._stop if perfect else self._warn
        return make(
            what, fix, column=name, count=n - (skill.wrong if outcome.classes else 0), score=min(skill.score, 1.0)
        )


def outcome_of(sample: Study, target: str, classes: bool) -> tuple[np.ndarray, Outcome | None]:
    """The rows that have a target, and the target there; None where there is too little to tell."""
    if classes:
        codes = sample.codes(target).codes
        rows = np.flatnonzero(codes >= 0)
        if len(rows) < LEAST:
            return rows, None
        outcome = class_outcome(codes[rows])
        return rows, outcome if len(rows) - outcome.easy >= FEWEST else None
    values = sample.values(target)
    rows = np.flatnonzero(np.isfinite(values))
    enough = len(rows) >= LEAST and len(np.unique(values[rows])) > 2
    return rows, number_outcome(values[rows]) if enough else None


FEWEST = 10
"""Rows outside the most frequent class below which a separation may be chance."""


def _alone(sample: Study, name: str, rows: np.ndarray, outcome: Outcome) -> Skill | None:
    kind = sample.kind(name)
    if kind in ("text", "media", "other"):
        codes = sample.codes(name)
        if codes.count > len(rows) / 2:
            return None
        return skill(codes.codes[rows].astype(np.float64), outcome, nominal=True)
    return skill(sample.values(name)[rows], outcome, nominal=False)


def _perfect(skill: Skill, outcome: Outcome) -> bool:
    if not outcome.classes:
        return skill.score >= PERFECT
    allowed = max(outcome.matrix.shape[1], len(outcome.truth) // 1000)
    return bool(skill.wrong <= allowed and len(outcome.truth) - outcome.easy >= 10 * allowed)
