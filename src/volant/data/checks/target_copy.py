"""The target under another name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Column, Finding, Problem
from volant.data.checks.base import DataCheck, inputs_of, is_classes, target_of
from volant.data.checks.study import Study

NEARLY_ALL = 0.99
LEAST = 20


class TargetCopy(DataCheck):
    """Stops on inputs whose values and the target's determine each other."""

    name = "target_copy"
    summary = "No input is the target under another name or in another coding."
    aspect = "accuracy"

    def run(self, data: Rows, problem: Problem | None, context: CheckContext) -> Sequence[Finding]:
        target = target_of(data, problem, context)
        if target is None:
            return []
        found = copies(Study.of(data), target, inputs_of(data, problem), is_classes(data, problem, context))
        return [self._copy(name, how, len(data)) for name, how in found]

    def _copy(self, name: str, how: str, rows: int) -> Finding:
        return self._stop(
            f"{name!r} is {how} the target: a model would only copy it",
            "give it the role ignored in volant.toml; it will not be known when a prediction is made",
            column=name,
            count=rows,
        )


def copies(study: Study, target: str, inputs: Iterable[Column], classes: bool) -> list[tuple[str, str]]:
    """Inputs that copy the target, each with how: "equal to", "a recoding of", "computed from"."""
    sample = study.sample()
    names = [c.name for c in inputs if c.name != target]
    judge = _recoding if classes else _transformed
    found = ((name, judge(sample, name, target)) for name in names)
    return [(name, how) for name, how in found if how]


def _recoding(sample: Study, name: str, target: str) -> str:
    own, other = sample.codes(name), sample.codes(target)
    if own.count != other.count or own.count < 2:
        return ""
    both = (own.codes >= 0) & (other.codes >= 0)
    labelled = int((other.codes >= 0).sum())
    if both.sum() < max(LEAST, NEARLY_ALL * labelled) or other.sizes().max() > labelled - LEAST / 4:
        return ""
    pairs = own.codes[both].astype(np.int64) * other.count + other.codes[both]
    if len(np.unique(pairs)) != own.count:
        return ""
    return "equal to" if own.labels.equals(other.labels) else "a recoding of"


def _transformed(sample: Study, name: str, target: str) -> str:
    if sample.kind(name) not in ("number", "boolean", "time") or sample.kind(target) not in ("number", "boolean"):
        return ""
    x, y = sample.values(name), sample.values(target)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < max(LEAST, NEARLY_ALL * np.isfinite(y).sum()):
        return ""
    x, y = x[both], y[both]
    if np.array_equal(x, y):
        return "equal to"
    few = slice(0, 1000)
    if abs(_correlation(x[few], y[few])) < 0.5 and not _monotone(x[few], y[few]):
        return ""
    return "computed from" if abs(_correlation(x, y)) > 1 - 1e-9 or _monotone(x, y) else ""


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = x - x.mean(), y - y.mean()
        size = float(np.sqrt((x * x).sum() * (y * y).sum()))
        return float((x * y).sum()) / size if np.isfinite(size) and size > 0 else 0.0


def _monotone(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether each is a strictly monotone function of the other, with enough values to mean it."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    moves = x[1:] > x[:-1]
    if moves.sum() < LEAST:
        return False
    up, down = y[1:] > y[:-1], y[1:] < y[:-1]
    return not (up | down)[~moves].any() and bool(up[moves].all() or down[moves].all())
