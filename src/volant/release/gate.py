"""The gate: whether a candidate may reach users. A pure function of numbers that fails closed.

A candidate passes if and only if the lower bound of its paired gain is above `min_gain` over all judge
rows and above minus `tolerance` on every required slice, it keeps the minima, the groups of people lie within the
limit of fairness, and it is within the limits of cost.
Whatever is missing, not finite, too small a sample or measured on other rows refuses it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from volant.core.records import Comparison, Gap, Verdict, Worth
from volant.release.fairness import FairnessRules, fair, unfair
from volant.release.rewards import earned, earns_less

ALIKE = 0.1
"""Share of the weight on rows of one key from which a refusal for lack of certainty speaks of it."""


@dataclass(frozen=True)
class GateRules:
    """What is asked of a candidate.

    `metric` decides; "" takes whatever was compared. `required` names slices that must not get worse by more
    than `tolerance`. `minimum` is the worst value allowed per metric: a floor where `greater_is_better` says so,
    else a ceiling; a metric that it does not name refuses. Limits are None where there is none. `alpha` is the
    level of the bounds, for the wording. `must_go` tells that what the candidate is compared with may not stay, as
    somebody was erased from whom it had learned: then the candidate passes unless it is surely worse, on all rows or a
    required slice, by more than `tolerance`.
    """

    metric: str = ""
    min_gain: float = 0.0
    tolerance: float = 0.02
    min_rows: int = 30
    required: tuple[str, ...] = ()
    minimum: Mapping[str, float] = field(default_factory=dict)
    latency_ms: float | None = None
    memory_mb: float | None = None
    size_mb: float | None = None
    alpha: float = 0.05
    greater_is_better: Mapping[str, bool] = field(default_factory=dict)
    fairness: FairnessRules | None = None
    must_go: bool = False


@dataclass(frozen=True)
class CandidateFacts:
    """What is known of a candidate besides the comparisons.

    `champion` is None for a first release, which is compared with the baseline learner. `scores` are point
    values on the judge rows. Costs are None where they were not measured. The two digests name the rows that
    each side was scored on; they must be equal. `gaps` tell how far groups of people lie apart on them. `worth` is what
    it would have earned on logged traffic, None where there are no rewards.
    """

    candidate: str
    champion: str | None = None
    is_baseline: bool = False
    latency_ms: float | None = None
    memory_mb: float | None = None
    size_mb: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    candidate_rows: str = ""
    champion_rows: str = ""
    gaps: tuple[Gap, ...] = ()
    worth: Worth | None = None


def alpha_for_turn(alpha: float, turn: int) -> float:
    """What turn 1, 2, … may spend of `alpha`, so that all turns together never spend more.

    Source: the sum of 1/k² over all k is π²/6 (Euler), so α·6/(π²k²) sums to α.

    >>> round(alpha_for_turn(0.05, 1), 4), round(alpha_for_turn(0.05, 2), 4)
    (0.0304, 0.0076)
    """
    if turn < 1:
        raise ValueError("turns are counted from 1")
    return alpha * 6.0 / (math.pi**2 * turn**2)


def decide(comparisons: Sequence[Comparison], rules: GateRules, facts: CandidateFacts) -> Verdict:
    """Judge a candidate. Nothing is read or written; every reason is a sentence, the weightiest first.

    A first release that is the baseline itself has nothing to be better than: it passes on minima and limits.
    """
    alone = facts.is_baseline and facts.champion is None
    refusals = [] if alone else [*_missing(comparisons, rules), *_too_few(comparisons, rules)]
    refusals += _broken(comparisons, rules, facts)
    if not refusals and not alone and rules.must_go:
        refusals += _surely_worse(comparisons, rules)
    elif not refusals and not alone:
        refusals += [*_no_gain(comparisons, rules, facts), *_harmed(comparisons, rules)]
    refusals += [*_below_minima(rules, facts), *unfair(rules.fairness, facts.gaps), *_over_limits(rules, facts)]
    refusals += earns_less(facts.worth, rules.tolerance, rules.alpha)
    reasons = refusals or [*_merits([] if alone else comparisons, rules, facts)]
    return Verdict(
        challenger=facts.candidate,
        champion=facts.champion,
        passed=not refusals,
        reasons=tuple(reasons),
        comparisons=(*comparisons, *([facts.worth.comparison()] if facts.worth else ())),
        alpha=rules.alpha,
        gaps=tuple(facts.gaps),
    )


def _used(comparisons: Sequence[Comparison], rules: GateRules) -> list[Comparison]:
    """The comparisons that decide: all rows first, then the required slices in their order."""
    by_slice = {c.slice: c for c in comparisons}
    return [by_slice[name] for name in ("", *rules.required) if name in by_slice]


def _missing(comparisons: Sequence[Comparison], rules: GateRules) -> Iterator[str]:
    names = {c.slice for c in comparisons}
    for name in dict.fromkeys(("", *rules.required)):
        if name not in names:
            yield f"{_place(name)} was not compared, so nothing is known of it."


def _too_few(comparisons: Sequence[Comparison], rules: GateRules) -> Iterator[str]:
    for one in _used(comparisons, rules):
        if one.n < rules.min_rows:
            yield f"{_place(one.slice)} has {one.n:,} rows to judge by; at least {rules.min_rows:,} are needed."


def _broken(comparisons: Sequence[Comparison], rules: GateRules, facts: CandidateFacts) -> Iterator[str]:
    """Why the evidence itself cannot be trusted."""
    if facts.candidate_rows != facts.champion_rows:
        yield f"The candidate and {_rival(facts)} were judged on different rows, so they cannot be compared."
    names = [c.slice for c in comparisons]
    for name in dict.fromkeys(n for n in names if names.count(n) > 1):
        yield f"{_place(name)} was compared {names.count(name)} times, so it is unclear which counts."
    for one in comparisons:
        numbers = {n: getattr(one, n) for n in ("difference", "low", "high", "champion", "challenger")}
        wrong = [name for name, value in numbers.items() if not math.isfinite(value)]
        if wrong:
            yield f"{_place(one.slice)} has no usable {one.metric}: {', '.join(wrong)} is not a finite number."
    for one in _used(comparisons, rules):
        if rules.metric and one.metric != rules.metric:
            yield f"{_place(one.slice)} was compared by {one.metric}, but {rules.metric} decides."
    yield from _not_finite(rules, facts)


def _not_finite(rules: GateRules, facts: CandidateFacts) -> Iterator[str]:
    costs = ("latency_ms", "memory_mb", "size_mb")
    asked = {name: getattr(rules, name) for name in ("min_gain", "tolerance", "alpha", *costs)}
    asked |= {f"minimum {name}": value for name, value in rules.minimum.items()}
    for name, value in asked.items():
        if value is not None and not math.isfinite(value):
            yield f"The rule {name} is not a finite number, so it cannot be kept."
    for name in costs:
        value = getattr(facts, name)
        if value is not None and not math.isfinite(value):
            yield f"The candidate's {name} is not a finite number."


def _no_gain(comparisons: Sequence[Comparison], rules: GateRules, facts: CandidateFacts) -> Iterator[str]:
    one = _used(comparisons, rules)[0]
    if one.low > rules.min_gain:
        return
    start = f"{one.metric} is {_change(one)} {_than(facts)} ({_values(one)}, {one.n:,} rows)"
    if one.difference <= rules.min_gain:
        yield f"{start}; a gain of more than {_size(rules.min_gain, one)} is needed."
        return
    yield (
        f"{start}, but that may be chance: at {_confidence(rules)} confidence the gain may be as low as "
        f"{_signed(one.low, one)}, and more than {_size(rules.min_gain, one)} is needed.{_alike(one)}"
    )


def _alike(one: Comparison) -> str:
    """What is to be known where most rows tell little more than a few."""
    if one.heaviest < ALIKE:
        return ""
    return (
        f" {100 * one.heaviest:.0f} % of these rows are alike, or of one subject or group, and tell no more than one: "
        "judge rows that differ tell more."
    )


def _surely_worse(comparisons: Sequence[Comparison], rules: GateRules) -> Iterator[str]:
    for one in _used(comparisons, rules):
        if one.high < -rules.tolerance:
            yield (
                f"{_place(one.slice)} gets worse by {_size(-one.high, one)} in {one.metric} at the least "
                f"({_confidence(rules)} confidence, {one.n:,} rows); {_size(rules.tolerance, one)} is tolerated."
            )


def _harmed(comparisons: Sequence[Comparison], rules: GateRules) -> Iterator[str]:
    slices = [c for c in _used(comparisons, rules) if c.slice]
    for one in sorted((c for c in slices if not c.low > -rules.tolerance), key=lambda c: c.low):
        yield (
            f"{_place(one.slice)} may get worse by {_size(-one.low, one)} in {one.metric} (measured: {_change(one)}, "
            f"{one.n:,} rows, {_confidence(rules)} confidence); at most {_size(rules.tolerance, one)} is tolerated."
        )


def _below_minima(rules: GateRules, facts: CandidateFacts) -> Iterator[str]:
    for name, bound in rules.minimum.items():
        value, rising = facts.scores.get(name), rules.greater_is_better.get(name)
        if value is None or not math.isfinite(value):
            yield f"{name} could not be measured on the judge rows, and a minimum is set for it."
        elif rising is None:
            yield f"A minimum is set for {name}, but it is not known whether more of it is better."
        elif not (value >= bound if rising else value <= bound):
            side = "at least" if rising else "at most"
            yield f"{name} is {_number(value)} on the judge rows; {side} {_number(bound)} is demanded."


def _over_limits(rules: GateRules, facts: CandidateFacts) -> Iterator[str]:
    for what, unit, cost, limit in _costs(rules, facts):
        if limit is None:
            continue
        if cost is None:
            yield f"The {what} was not measured, and it is limited to {_number(limit)} {unit}."
        elif not cost <= limit:
            yield f"The {what} is {_number(cost)} {unit}; at most {_number(limit)} {unit} is allowed."


def _costs(rules: GateRules, facts: CandidateFacts) -> tuple[tuple[str, str, float | None, float | None], ...]:
    return (
        ("latency of one row", "ms", facts.latency_ms, rules.latency_ms),
        ("memory of the loaded candidate", "MB", facts.memory_mb, rules.memory_mb),
        ("size on disk", "MB", facts.size_mb, rules.size_mb),
    )


def _merits(comparisons: Sequence[Comparison], rules: GateRules, facts: CandidateFacts) -> Iterator[str]:
    if not comparisons:
        yield "No learner but the baseline was trained, so the baseline is the first release."
    else:
        one, *slices = _used(comparisons, rules)
        if rules.must_go:
            yield (
                f"What serves has learned from somebody who was erased, so it must go; {one.metric} is {_change(one)} "
                f"{_than(facts)} ({_values(one)}, {one.n:,} rows), which is not surely worse than is tolerated."
            )
            yield from earned(facts.worth, rules.tolerance, rules.alpha)
            return
        yield (
            f"{one.metric} is {_change(one)} {_than(facts)} ({_values(one)}, {one.n:,} rows), and at "
            f"{_confidence(rules)} confidence the gain is above {_size(one.low, one)}; "
            f"more than {_size(rules.min_gain, one)} is needed."
        )
        yield from _held(slices, rules)
        yield from earned(facts.worth, rules.tolerance, rules.alpha)
    if rules.minimum:
        kept = ", ".join(f"{name} {_number(facts.scores[name])}" for name in rules.minimum)
        yield f"All minima are kept on the judge rows: {kept}."
    yield from fair(rules.fairness, facts.gaps)
    held = [f"{w} {_number(c)} of {_number(m)} {u}" for w, u, c, m in _costs(rules, facts) if c is not None and m]
    if held:
        yield f"All limits are kept: {', '.join(held)}."


def _held(slices: Sequence[Comparison], rules: GateRules) -> Iterator[str]:
    if slices:
        worst = min(slices, key=lambda c: c.low)
        yield (
            f"No required slice is harmed: the bound is lowest in {worst.slice}, at {_signed(worst.low, worst)}, "
            f"and minus {_size(rules.tolerance, worst)} is tolerated."
        )


def _rival(facts: CandidateFacts) -> str:
    return "the baseline" if facts.champion is None else "the champion"


def _than(facts: CandidateFacts) -> str:
    return f"than {_rival(facts)}'s"


def _place(name: str) -> str:
    return f"The slice {name}" if name else "The whole of the judge rows"


def _change(one: Comparison) -> str:
    if one.difference == 0:
        return "neither better nor worse"
    return f"{_size(abs(one.difference), one)} {'better' if one.difference > 0 else 'worse'}"


def _values(one: Comparison) -> str:
    return f"{_number(one.challenger)} against {_number(one.champion)}"


def _size(value: float, one: Comparison) -> str:
    return f"{_number(100 * value)} %" if one.scale == "relative" else _number(value)


def _signed(value: float, one: Comparison) -> str:
    return f"{'minus ' if value < 0 else ''}{_size(abs(value), one)}"


def _confidence(rules: GateRules) -> str:
    return f"{100 * (1 - rules.alpha):.4g} %"


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
