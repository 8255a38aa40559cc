"""Rows that do not come in random order: sorted by the target, or changing from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.association import correlation_ratio, cramers_v, to_ranks
from volant.data.checks.base import DataCheck, inputs_of, is_classes, target_of
from volant.data.checks.shift import shifts
from volant.data.checks.study import Study

ROWS = 50_000
LEAST = 100
BLOCKS = 20
EFFECT = 0.15
ALIKE = 0.25
CERTAIN = 12.0


class RowOrder(DataCheck):
    """Looks whether the place of a row tells its target or its inputs. Silent where a time column explains it."""

    name = "row_order"
    summary = "The order of the rows tells nothing about them."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study, target = Study.of(data).sample(ROWS), target_of(data, problem, context)
        by_folder = context.notes.get("format") == "photos"  # whose order is that of the folders, which are the classes
        if len(study) < LEAST or data.schema.of_role("time") or by_folder:
            return []
        found = [self._target(study, target, is_classes(data, problem, context))] if target else []
        return [f for f in (*found, self._inputs(study, inputs_of(data, problem), target)) if f]

    def _target(self, study: Study, target: str, classes: bool) -> Finding | None:
        if study.kind(target) == "other":
            return None
        sequence = _sequence(study, target, classes)
        if len(sequence) < LEAST:
            return None
        block, alike = _by_block(sequence, classes), _neighbours_alike(sequence, classes)
        if block < EFFECT and alike < ALIKE:
            return None
        how = (
            "neighbouring rows have alike targets"
            if alike >= ALIKE
            else "the target changes from the first rows to the last"
        )
        return self._warn(
            f"the rows are not in random order: {how} (strength {max(block, alike):.2f} of 1){study.said}",
            "if neighbours belong together, name a subject, group or time column in volant.toml and split by it",
            column=target,
            score=min(1.0, max(block, alike)),
        )

    def _inputs(self, study: Study, inputs: Sequence[object], target: str | None) -> Finding | None:
        names = [c.name for c in inputs if c.name != target]  # type: ignore[attr-defined]
        groups = np.arange(len(study)) * 4 // len(study)
        found = shifts(study, names, groups)
        if not found:
            return None
        worst = max(found, key=lambda s: s.size)
        listed = ", ".join(repr(s.column) for s in found[:5]) + (
            f" and {len(found) - 5} more" if len(found) > 5 else ""
        )
        return self._warn(
            f"the rows are not in random order: {listed} {'change' if len(found) > 1 else 'changes'} from the first "
            f"rows to the last (at most {worst.size:.0%} of the rows){study.said}",
            "if the order is time or a group, name that column in volant.toml and split by it",
            column=worst.column,
            score=worst.size,
        )


def _sequence(study: Study, target: str, classes: bool) -> np.ndarray:
    """The target from the first row to the last, those without left out."""
    if classes:
        codes = study.codes(target).codes
        return np.asarray(codes[codes >= 0])
    values = study.values(target)
    return np.asarray(values[np.isfinite(values)])


def _by_block(sequence: np.ndarray, classes: bool) -> float:
    """How strongly the target differs between consecutive blocks of rows, in [0, 1]; 0 if chance would do."""
    n = len(sequence)
    block = np.arange(n) * min(BLOCKS, n // 20) // n
    if classes:
        count = int(sequence.max()) + 1
        blocks = int(block.max()) + 1
        table = np.bincount(block * count + sequence, minlength=blocks * count).reshape(blocks, count)
        effect, surprise = cramers_v(table)
    else:
        squared, surprise = correlation_ratio(block, sequence)
        effect = float(np.sqrt(squared))
    return effect if surprise > CERTAIN else 0.0


def _neighbours_alike(sequence: np.ndarray, classes: bool) -> float:
    """How much more alike neighbours are than any two rows, in [0, 1]; 0 if chance would do."""
    n = len(sequence) - 1
    if not classes:
        ranks = to_ranks(sequence)
        ranks = ranks - ranks.mean()
        spread = float((ranks**2).sum())
        effect = float((ranks[1:] * ranks[:-1]).sum()) / spread if spread else 0.0
        return effect if effect * np.sqrt(n) > 6 else 0.0
    shares = np.bincount(sequence) / len(sequence)
    expected = float((shares**2).sum())
    seen = float((sequence[1:] == sequence[:-1]).mean())
    error = np.sqrt(expected * (1 - expected) / n)
    return (seen - expected) / (1 - expected) if error > 0 and (seen - expected) / error > 6 else 0.0
