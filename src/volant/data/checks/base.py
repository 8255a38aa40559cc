"""What all data checks share: how they word a finding."""

from __future__ import annotations

from collections.abc import Sequence

from volant.core.protocols import CheckContext, Rows
from volant.core.records import Column, Finding, Problem
from volant.data.checks.study import Study


class DataCheck:
    """Base of the built-in checks. A check of your own needs only the protocol, not this class."""

    name: str
    summary: str
    aspect: str
    trains: bool = False

    def _warn(self, what: str, fix: str, **evidence: object) -> Finding:
        return Finding(check=self.name, severity="warn", what=what, fix=fix, aspect=self.aspect, **evidence)  # type: ignore[arg-type]

    def _stop(self, what: str, fix: str, **evidence: object) -> Finding:
        return Finding(check=self.name, severity="stop", what=what, fix=fix, aspect=self.aspect, **evidence)  # type: ignore[arg-type]


def inputs_of(data: Rows, problem: Problem | None) -> tuple[Column, ...]:
    """The input columns: those of the problem where there is one, else those of the schema."""
    if problem is None:
        return data.schema.inputs
    names = set(data.schema.names)
    return tuple(c for c in problem.inputs if c.name in names)


def target_of(data: Rows, problem: Problem | None, context: CheckContext) -> str | None:
    """The target's name, or None where it is unknown or not among the columns."""
    named = (problem.target if problem else None) or context.target
    roles: Sequence[Column] = data.schema.of_role("target")
    name = named or (roles[0].name if roles else None)
    return name if name in data.schema.names else None


def is_classes(data: Rows, problem: Problem | None, context: CheckContext) -> bool:
    """Whether the target is a class rather than a number."""
    if context.task is not None:
        return context.task.target_type in ("category", "labels")  # a set of labels is taken as one class
    if problem is not None:
        return bool(problem.classes)
    target = target_of(data, problem, context)
    return target is not None and Study.of(data).kind(target) in ("text", "boolean")


def many(count: int, one: str, more: str) -> str:
    """A number with its words: "1 row has", "12 rows have"."""
    return f"{count:,} {one if count == 1 else more}"


def share(part: float, whole: float) -> str:
    """`part` of `whole` in words: "12 %", "0.3 %", "less than 0.1 %" or "more than 99.9 %"."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "less than 0.1 %"
    if 99 < percent < 100:
        return "more than 99.9 %" if percent > 99.9 else f"{percent:.1f} %"
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"
