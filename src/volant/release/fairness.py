"""The fairness part of the gate: how far groups of people may lie apart. Pure, and fails closed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from volant.core.records import Gap


@dataclass(frozen=True)
class FairnessRules:
    """The metric, the limit, and the columns whose groups must keep it.

    The measured value must keep the limit, as with minima; where it must be `sure`, so must the bound.
    """

    metric: str
    limit: float
    columns: tuple[str, ...]
    sure: bool = False

    @property
    def is_ratio(self) -> bool:
        """Whether more is fairer."""
        return self.metric.endswith("_ratio")

    def keeps(self, value: float) -> bool:
        """Whether a value is within the limit; one that is not a number is not."""
        return value >= self.limit if self.is_ratio else value <= self.limit


def unfair(rules: FairnessRules | None, gaps: Sequence[Gap]) -> Iterator[str]:
    """Why a candidate is refused: one sentence per column that does not keep the limit."""
    if rules is None:
        return
    if not rules.columns:
        yield f"A limit is set for {_words(rules.metric)}, but no column tells the groups."
    if not math.isfinite(rules.limit):
        yield "The limit of fairness is not a finite number, so it cannot be kept."
    for column in rules.columns:
        found = [gap for gap in gaps if gap.column == column and gap.metric == rules.metric]
        if len(found) != 1:
            yield f"Between the groups of {column} the {_words(rules.metric)} was not measured, and a limit is set."
        else:
            yield from _over(rules, found[0])


def _over(rules: FairnessRules, gap: Gap) -> Iterator[str]:
    if not all(map(math.isfinite, (gap.value, gap.low, gap.high))):
        yield (
            f"Between the groups of {gap.column} the {_words(rules.metric)} could not be measured: fewer than two "
            f"groups have enough rows behind it."
        )
        return
    asked = f"{'at least' if rules.is_ratio else 'at most'} {_number(rules.limit)} is allowed"
    if not rules.keeps(gap.value):
        sure = rules.keeps(gap.low) or rules.keeps(gap.high)
        yield f"{_said(gap)}; {asked}{', and chance alone may explain it' if sure else ', surely exceeded'}."
    elif rules.sure and not rules.keeps(gap.low if rules.is_ratio else gap.high):
        yield f"{_said(gap)}; {asked}, and that is not sure."


def fair(rules: FairnessRules | None, gaps: Sequence[Gap]) -> Iterator[str]:
    """What is said of a candidate that keeps the limit."""
    for gap in gaps if rules is not None else ():
        if rules is not None and gap.metric == rules.metric and gap.column in rules.columns:
            before = "" if gap.champion is None else f"; the champion's is {_number(gap.champion)}"
            asked = "at least" if rules.is_ratio else "at most"
            left = f" Too few rows to compare: {', '.join(gap.left_out)}." if gap.left_out else ""
            yield f"{_said(gap)}; {asked} {_number(rules.limit)} is allowed{before}.{left}"


def _said(gap: Gap) -> str:
    between = f" ({gap.most} against {gap.least})" if gap.most else ""
    return (
        f"Between the groups of {gap.column} the {_words(gap.metric)} is {_number(gap.value)}{between}, "
        f"within {_number(gap.low)} and {_number(gap.high)}"
    )


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _number(value: float) -> str:
    return f"{value:,.4g}"
