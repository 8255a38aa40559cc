"""Classes too small to learn or to judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from volant.columns.labels import presences
from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, is_classes, share, target_of
from volant.data.checks.study import Study

FEW = 10
LOPSIDED = 0.1
"""A class is small below this share, divided by the number of classes."""


class ClassImbalance(DataCheck):
    """Warns about classes with few rows, in absolute number or beside the others."""

    name = "class_imbalance"
    summary = "Every class has enough rows, and none is dwarfed by the others."
    aspect = "diversity"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        target = target_of(data, problem, context)
        if target is None or not is_classes(data, problem, context):
            return []
        if data.schema[target].type == "labels":
            return self._labels(data, target)
        study = Study.of(data)
        codes = study.codes(target)
        if codes.count < 2:
            return []
        sizes = codes.sizes()
        found = [self._tiny(study, target, sizes)] if (sizes < FEW).any() else []
        least = sizes.min() / sizes.sum()
        return [*found, self._lopsided(study, target, sizes)] if least < LOPSIDED / codes.count else found

    def _labels(self, data: Rows, target: str) -> list[Finding]:
        """Of labels those that few rows carry; sets of them are no classes."""
        carried: dict[str, int] = {}
        for one in data.table([target]).column(0).drop_null().value_counts().to_pylist():
            for name, there in presences(one["values"])[0].items():
                carried[name] = carried.get(name, 0) + (one["counts"] if there else 0)
        few = [rows for rows in carried.values() if rows < FEW]
        if not few:
            return []
        what = (
            f"{len(few)} of {len(carried)} labels {'is' if len(few) == 1 else 'are'} carried by fewer than {FEW} rows"
        )
        fix = "collect more rows that carry them, or merge them into other labels"
        return [self._warn(what, fix, column=target, count=sum(few), score=len(few) / len(carried))]

    def _tiny(self, study: Study, target: str, sizes: np.ndarray) -> Finding:
        tiny = np.flatnonzero(sizes < FEW)
        one = len(tiny) == 1
        return self._warn(
            f"{len(tiny)} of {len(sizes)} classes {'has' if one else 'have'} fewer than {FEW} rows",
            "collect more rows of them, or merge them into other classes",
            column=target,
            rows=study.evidence(np.isin(study.codes(target).codes, tiny)),
            count=int(sizes[tiny].sum()),
            score=len(tiny) / len(sizes),
        )

    def _lopsided(self, study: Study, target: str, sizes: np.ndarray) -> Finding:
        n, least = int(sizes.sum()), int(sizes.min())
        ratio = sizes.max() / max(least, 1)
        return self._warn(
            f"the smallest class has {share(least, n)} of the rows, the largest {ratio:,.0f} times as many",
            "judge by a metric that sees small classes (pr_auc, log_loss), let [decide] choose the answer, and collect "
            "more rows of the small ones",
            column=target,
            rows=study.evidence(study.codes(target).codes == int(sizes.argmin())),
            count=least,
            score=1 - least / n * len(sizes),
        )
