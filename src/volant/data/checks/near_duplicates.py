"""Rows that are almost copies: numbers jittered, texts retyped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, many, share, target_of
from volant.data.checks.hashing import distinct_pairs, hash_codes, matching, normalised
from volant.data.checks.sketches import similar_texts
from volant.data.checks.study import Codes, Study
from volant.data.splits import GOLDEN, mix

ROWS = 100_000
LEAST = 50
NEAR = 1e-3
"""Rows are near when no number differs by more than this part of its usual spread."""

RING = 8
CELL = 0.05
MOST_STEPS = 1e12
GRIDS = 3
PER_GRID = 4
FINE = 50
"""A number with fewer different values than this is compared exactly."""

SHARE = 0.001


class NearDuplicates(DataCheck):
    """Finds pairs of rows that differ less than chance allows, by random grids over numbers and min-hashes of texts."""

    name = "near_duplicates"
    summary = "No rows are almost copies of others, and none across the split."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study, target = Study.of(data).sample(ROWS), target_of(data, problem, context)
        columns = [c for c in inputs_of(data, problem) if c.name != target and study.kind(c.name) != "other"]
        if len(study) < LEAST or all(study.kind(c.name) == "media" for c in columns):
            return []  # files that are almost copies are looked for by checks of their own
        texts = [c.name for c in columns if c.type == "text"]
        pairs = [_near_rows(study, [c.name for c in columns])]
        pairs += [similar_texts(study.column(name)) for name in texts]
        left, right = _of_different_subjects(study, *distinct_pairs(pairs, len(study)))
        rows = np.unique(right)
        if len(rows) < max(3, SHARE * len(study)):
            return []
        return [self._inside(study, rows), *self._across(study, left, right)]

    def _inside(self, study: Study, rows: np.ndarray) -> Finding:
        told = many(len(rows), "row is", "rows are")
        return self._warn(
            f"{told} almost a copy of another ({share(len(rows), len(study))}){study.said}",
            "leave copies out of the source, or name the subject or group column that they share",
            rows=study.evidence(rows),
            count=len(rows),
            score=len(rows) / len(study),
        )

    def _across(self, study: Study, left: np.ndarray, right: np.ndarray) -> list[Finding]:
        sides = study.sides()
        split = (sides[left] != sides[right]) & (sides[left] >= 0) & (sides[right] >= 0)
        count = len(np.unique(right[split]))
        if not count:
            return []
        what = f"{many(count, 'row has', 'rows have')} an almost exact copy on another side of the split{study.said}"
        fix = "name the subject or group column, so that copies stay on one side and judge nothing"
        rows = study.evidence(np.stack([left[split], right[split]], axis=1).ravel())
        return [self._warn(what, fix, rows=rows, count=count, score=min(1.0, 5 * count / len(study)))]


def _of_different_subjects(study: Study, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs within one subject or group are repeated measurements, not copies."""
    owners = study.schema.of_role("subject") or study.schema.of_role("group")
    if not owners or not len(left):
        return left, right
    codes = study.codes(owners[0].name).codes
    other = (codes[left] != codes[right]) | (codes[left] < 0)
    return left[other], right[other]


def _near_rows(study: Study, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows that agree in all coarse columns (texts after normalising) and nearly agree in all fine ones."""
    fine = [n for n in names if study.kind(n) in ("number", "time") and study.distinct(n) >= FINE]
    exact = [n for n in names if n not in fine]
    with np.errstate(over="ignore"):
        base = np.zeros(len(study), dtype=np.uint64)
        original = np.zeros(len(study), dtype=np.uint64)
        for name in exact:
            codes = study.codes(name)
            original += hash_codes(codes.codes, name)
            base += hash_codes(_spelled_alike(codes) if study.kind(name) == "text" else codes.codes, name)
        scaled = _scaled(study, fine)
        left, right = _candidates(base, scaled)
    apart = np.abs(scaled[left] - scaled[right]).max(axis=1, initial=0.0)
    retyped = original[left] != original[right]
    if len(fine) in (1, 2):
        return left[:0], right[:0]
    near = (apart <= NEAR) & ((apart > 0) | retyped)
    if fine and (near.sum() <= ((apart > NEAR) & (apart <= RING * NEAR)).sum() or _crowded(base, scaled, near.sum())):
        near[:] = False
    if not fine and near.sum() > 0.3 * len(study):
        near[:] = False
    return left[near], right[near]


def _crowded(base: np.ndarray, scaled: np.ndarray, found: int) -> bool:
    """Whether rows lie so dense that near ones are no surprise: then thinning them out hardly makes a difference."""
    if found < 0.02 * len(base):
        return False
    few = np.sort(np.random.default_rng(1).choice(len(base), len(base) // 8, replace=False))
    left, right = _candidates(base[few], scaled[few])
    near = (np.abs(scaled[few][left] - scaled[few][right]).max(axis=1, initial=0.0) <= NEAR).sum()
    return bool(near / len(few) > 0.5 * found / len(base))


def _spelled_alike(codes: Codes) -> np.ndarray:
    """Codes in which labels that differ in case, width, punctuation or spaces are one."""
    if not len(codes.labels):
        return codes.codes
    same = normalised(codes.labels.cast(pa.string())).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return np.asarray(np.append(same, -1)[codes.codes])


def _scaled(study: Study, names: Sequence[str]) -> np.ndarray:
    """Numbers in units of their usual spread, shape (n, len(names)), missing as a number of its own."""
    columns = []
    for name in names:
        values = study.values(name)
        finite = values[np.isfinite(values)]
        low, high = np.quantile(finite, [0.25, 0.75]) if len(finite) else (0.0, 0.0)
        spread = (high - low) / 1.349 or float(np.abs(finite - np.median(finite)).mean()) or 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            steps = np.nan_to_num((values - low) / spread, nan=-1e6, posinf=1e6, neginf=-2e6)
        columns.append(np.clip(steps, -MOST_STEPS, MOST_STEPS))
    return np.stack(columns, axis=1) if columns else np.zeros((len(study), 0))


def _candidates(base: np.ndarray, scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that fall into one cell of one of a few random grids."""
    generator = np.random.default_rng(0)
    found = []
    width = scaled.shape[1]
    for _ in range(GRIDS if width else 1):
        hashes = base.copy()
        for column in generator.permutation(width)[:PER_GRID]:
            cells = np.floor(scaled[:, column] / CELL + generator.random())
            hashes += mix(cells.astype(np.int64).view(np.uint64) * GOLDEN + np.uint64(column))
        found.append(matching(hashes))
    return distinct_pairs(found, len(base))
