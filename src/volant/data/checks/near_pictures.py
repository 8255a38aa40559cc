"""Pictures that are almost copies of others: saved again, made smaller, brightened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, is_classes, many, share, target_of
from volant.data.checks.fingerprints import near_pairs
from volant.data.checks.pictures import pictures_in
from volant.data.checks.study import Study

MOST = 50_000
SHARE = 0.001


class NearPictures(DataCheck):
    """Finds pictures that show the same, inside a side of the split and across, and such that have other labels."""

    name = "near_pictures"
    summary = "No pictures are almost copies of others, none across the split, none with another label."
    aspect = "diversity"
    trains = True

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        found: list[Finding] = []
        target = target_of(data, problem, context)
        for name, sample, looks in pictures_in(data, problem, MOST):
            cells, codes = sample.batch([name])[name], sample.codes(name).codes
            left, right = near_pairs(looks.shades, cells, codes)
            rows = np.unique(right)
            if len(rows) < max(1, SHARE * len(sample)):
                continue
            found.append(self._inside(name, rows, sample))
            found += self._across(name, left, right, sample)
            if target is not None and is_classes(data, problem, context):
                found += self._contradicting(target, left, right, sample)
        return found

    def _inside(self, name: str, rows: np.ndarray, sample: Study) -> Finding:
        told = many(len(rows), "picture", "pictures")
        verb = "is almost a copy" if len(rows) == 1 else "are almost copies"
        return self._warn(
            f"{told} of {name!r} {verb} of another ({share(len(rows), len(sample))}){sample.said}",
            "leave copies out of the source, or name the subject or group column that they share",
            column=name,
            rows=sample.evidence(rows),
            count=len(rows),
            score=len(rows) / len(sample),
        )

    def _across(self, name: str, left: np.ndarray, right: np.ndarray, sample: Study) -> Iterator[Finding]:
        sides = sample.sides()
        split = (sides[left] != sides[right]) & (sides[left] >= 0) & (sides[right] >= 0)
        count = len(np.unique(right[split]))
        if count:
            has = many(count, "picture has", "pictures have")
            yield self._warn(
                f"{has} almost a copy on another side of the split{sample.said}",
                "name the subject or group column, so that they stay on one side; else what judges was half seen",
                column=name,
                rows=sample.evidence(np.stack([left[split], right[split]], axis=1).ravel()),
                count=count,
                score=min(1.0, 5 * count / len(sample)),
            )

    def _contradicting(self, target: str, left: np.ndarray, right: np.ndarray, sample: Study) -> Iterator[Finding]:
        labels = sample.codes(target).codes
        other = (labels[left] != labels[right]) & (labels[left] >= 0) & (labels[right] >= 0)
        count = int(other.sum())
        if count:
            pairs = many(count, "pair of pictures shows", "pairs of pictures show")
            yield self._warn(
                f"{pairs} the same and {'has' if count == 1 else 'have'} different labels{sample.said}",
                "look at these rows and correct the labels",
                column=target,
                rows=sample.evidence(np.stack([left[other], right[other]], axis=1).ravel()),
                count=count,
                score=min(1.0, 0.3 + 5 * count / len(sample)),
            )
