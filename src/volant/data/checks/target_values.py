"""A target that is missing, constant or has one class teaches nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, is_classes, many, share, target_of
from volant.data.checks.study import Study


class TargetValues(DataCheck):
    """Stops when the target has no values or only one, warns about rows without it."""

    name = "target_values"
    summary = "The target is there, has values, and more than one of them."
    aspect = "completeness"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        target = target_of(data, problem, context)
        if target is None:
            name = (problem.target if problem else context.target) or "?"
            return [
                self._stop(f"the target {name!r} is not in the data", "name the target in volant.toml", column=name)
            ]
        study = Study.of(data)
        if not len(study):
            return []
        missing = study.missing(target)
        unreadable = context.unreadable_count.get(target, 0)
        if missing == len(study) and unreadable:
            what = f"not one value of the target can be read as a {data.schema[target].type}"
            fix = "choose the task that fits it in volant.toml (classify for texts), or another column as the target"
            return [self._stop(what, fix, column=target, count=unreadable)]
        if missing == len(study):
            fix = "fill the target in, or name another column as the target"
            return [self._stop("the target has no values at all", fix, column=target, count=missing)]
        if study.distinct(target) == 1:
            return [self._single(target, is_classes(data, problem, context), len(study))]
        return [self._partly(study, target, missing)] if missing else []

    def _single(self, target: str, classes: bool, rows: int) -> Finding:
        what = "the target has one class only" if classes else "the target is the same number in every row"
        return self._stop(
            what, "add rows with other outcomes, or name another column as the target", column=target, count=rows
        )

    def _partly(self, study: Study, target: str, missing: int) -> Finding:
        told = many(missing, "row has", "rows have")
        return self._warn(
            f"{told} no target ({share(missing, len(study))}) and cannot be learned from",
            "label them, or leave them out of the source",
            column=target,
            rows=study.evidence(np.flatnonzero(~study.filled(target))),
            count=missing,
            score=missing / len(study),
        )
