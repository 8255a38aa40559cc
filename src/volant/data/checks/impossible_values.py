"""Values that cannot be: infinite, absurdly large, negative where nothing is negative, codes for "missing"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, is_classes, many, target_of
from volant.data.checks.extremes import placeholder
from volant.data.checks.study import Study

HUGE = 1e100
NEVER_NEGATIVE = re.compile(
    r"(^|[_\W\d])(age|ages|price|count|counts|quantity|qty|height|weight|width|length|area|distance|duration|"
    r"population|mileage|tenure|speed|volume)($|[_\W\d])|年龄|价格|单价|数量|身高|体重|面积|距离|时长|人数|里程",
    re.IGNORECASE,
)
AGE = re.compile(r"(^|[_\W])age($|[_\W])|年龄", re.IGNORECASE)
OLDEST = 130.0
SHARE = 0.05
EARLIEST = datetime(1800, 1, 1, tzinfo=UTC).timestamp() * 1e6
LATEST = datetime(2200, 1, 1, tzinfo=UTC).timestamp() * 1e6


class ImpossibleValues(DataCheck):
    """Warns about numbers and times that cannot be true, by their size and by what the column's name says."""

    name = "impossible_values"
    summary = "Numbers and times are possible: finite, of a sane size, negative only where that means something."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        study, target = Study.of(data), target_of(data, problem, context)
        names = [c.name for c in inputs_of(data, problem) if c.name != target]
        if target and not is_classes(data, problem, context):
            names.append(target)
        found: list[Finding] = []
        for name in names:
            if study.kind(name) in ("number", "time"):
                found += self._column(study, name)
        return found

    def _column(self, study: Study, name: str) -> list[Finding]:
        values = study.values(name)
        judged = [(where, what, fix) for where, what, fix in _impossible(name, values, study.kind(name)) if where.any()]
        return [self._found(study, name, where, what, fix) for where, what, fix in judged]

    def _found(self, study: Study, name: str, where: np.ndarray, what: str, fix: str) -> Finding:
        count = int(where.sum())
        said = f"{many(count, 'value', 'values')} of {name!r} {'is' if count == 1 else 'are'} {what}"
        score = min(1.0, 0.3 + 10 * count / len(study))
        return self._warn(said, fix, column=name, rows=study.evidence(where), count=count, score=score)


def _impossible(name: str, values: np.ndarray, kind: str) -> list[tuple[np.ndarray, str, str]]:
    if kind == "time":
        where = (values < EARLIEST) | (values > LATEST)
        return [(where, "before 1800 or after 2200", "correct the dates, or leave them empty")]
    huge = np.abs(values) > HUGE
    found = [(huge, "infinite or absurdly large", "correct them, or leave them empty")]
    usual = values[~huge & ~np.isnan(values)]
    if len(usual):
        found += _by_name(name, values, usual)
        code = placeholder(usual)
        if code is not None:
            told = f"equal to {code:g}, far from all others: a code for missing rather than a number"
            found.append(
                (values == code, told, "list the code under data.missing in volant.toml, or leave these cells empty")
            )
    return found


def _by_name(name: str, values: np.ndarray, usual: np.ndarray) -> list[tuple[np.ndarray, str, str]]:
    found = []
    finite = np.abs(values) <= HUGE
    if NEVER_NEGATIVE.search(name) and 0 < (usual < 0).mean() <= SHARE:
        found.append((finite & (values < 0), "negative, which the name rules out", "correct them, or leave them empty"))
    if AGE.search(name) and 0 < (usual > OLDEST).mean() <= SHARE and np.median(usual) < OLDEST:
        found.append((finite & (values > OLDEST), f"beyond an age of {OLDEST:g}", "correct them, or leave them empty"))
    return found
