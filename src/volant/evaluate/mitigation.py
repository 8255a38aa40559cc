"""Thresholds under which groups of people lie close together, chosen on rows that were held out.

One threshold for all needs nothing of a caller. One per group needs the group of every row that is answered.
Source: Hardt, Price and Srebro, Equality of Opportunity in Supervised Learning, 2016, section 3, without chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from volant.core.records import Decision
from volant.evaluate.fairness import GAPS, LEAST_CASES
from volant.tasks.decisions import Aim, Choice, choose
from volant.tasks.thresholds import Counts, candidates, count, measures

MARGIN = 0.5
"""Share of the allowed distance that is aimed at, so that other rows keep the limit too."""

OBJECTIVES = ("accuracy", "balanced_accuracy", "f1", "cost")
_ANCHORS = {1: 101, 2: 31}
_WIDER = 1.5
_STEPS = 5


@dataclass(frozen=True)
class Limit:
    """The metric of fairness, its limit, and the class that counts as being selected (0 or 1)."""

    metric: str
    value: float
    positive: int = 1

    @property
    def is_ratio(self) -> bool:
        return self.metric.endswith("_ratio")

    def room(self, share: float) -> float:
        """The distance that is allowed, times `share`: of a difference from 0, of a ratio from 1."""
        return (1 - self.value if self.is_ratio else self.value) * share


@dataclass(frozen=True)
class Held:
    """Rows that were held out: probability of the second class, whether it is true, weight, group (-1 for none)."""

    p: np.ndarray
    true: np.ndarray
    weight: np.ndarray
    group: np.ndarray

    def take(self, mask: np.ndarray) -> Held:
        return Held(self.p[mask], self.true[mask], self.weight[mask], self.group[mask])

    def count(self, cuts: np.ndarray) -> Counts:
        return count(self.p, self.true, self.weight, cuts)


def _rates(counts: Counts, limit: Limit) -> np.ndarray:
    """The rates that the metric compares, (T, k), of the class that counts as being selected."""
    found = measures(counts)
    negatives = counts.alarms + counts.passed
    false = np.divide(counts.alarms, negatives, out=np.zeros(len(negatives)), where=negatives > 0)
    if limit.positive == 1:
        known = {"selection_rate": found["selected"], "true_positive_rate": found["recall"]}
        known |= {"false_positive_rate": false}
    else:
        known = {"selection_rate": 1 - found["selected"], "true_positive_rate": 1 - false}
        known |= {"false_positive_rate": 1 - found["recall"]}
    return np.stack([{**known, "accuracy": found["accuracy"]}[name] for name in GAPS[limit.metric]], axis=1)


def _groups(held: Held, limit: Limit) -> list[int]:
    """The groups that have rows enough behind every rate."""
    needs = GAPS[limit.metric]
    enough = []
    for g in range(int(held.group.max(initial=-1)) + 1):
        true = held.true[held.group == g] == bool(limit.positive)
        behind = {"true_positive_rate": true.sum(), "false_positive_rate": (~true).sum()}
        if min((int(behind.get(name, len(true))) for name in needs), default=0) >= LEAST_CASES:
            enough.append(g)
    return enough


def one_threshold(held: Held, aim: Aim, limit: Limit) -> Choice:
    """The best threshold for all among those that keep the groups close, or the one that keeps them closest."""
    cuts = candidates(held.p)
    values = measures(held.count(cuts), aim.costs)
    wanted = -values["cost"] if aim.metric == "cost" else values[aim.metric]
    sides = [_rates(held.take(held.group == g).count(cuts), limit) for g in _groups(held, limit)]
    apart = _apart(np.stack(sides), limit) if len(sides) > 1 else np.zeros(len(cuts))
    allowed = np.flatnonzero(apart <= max(limit.room(MARGIN), float(apart.min()) + 1e-9))
    top = allowed[wanted[allowed] >= wanted[allowed].max() - 1e-12]
    best = int(top[len(top) // 2])
    kept = bool(apart[best] <= limit.room(1.0) + 1e-9)
    return Choice(Decision(threshold=float(cuts[best])), float(values[aim.metric][best]), kept=kept)


def _apart(rates: np.ndarray, limit: Limit) -> np.ndarray:
    """How far groups lie apart at each cut, (T,), from rates (G, T, k); for a ratio, how far it is below 1."""
    if not limit.is_ratio:
        return np.asarray((rates.max(axis=0) - rates.min(axis=0)).max(axis=1))
    top, low = rates.max(axis=0)[:, 0], rates.min(axis=0)[:, 0]
    return np.asarray(1 - np.divide(low, top, out=np.zeros_like(low), where=top > 0))


def group_thresholds(held: Held, aim: Aim, limit: Limit, column: str, values: Sequence[object]) -> Choice:
    """The best thresholds, one per group, that keep the groups close.

    Every range of rates that is narrow enough is tried; within it each group takes the threshold that is best.

    Args:
        held: rows with their groups, numbered as in `values`.
        aim: what is made as large as possible: one of `OBJECTIVES`.
        limit: what must be kept.
        column: the input that tells the group.
        values: its canonical values, one per group.
    """
    usual = choose(np.stack([1 - held.p, held.p], axis=1), held.true.astype(np.int64), held.weight, aim)
    groups, cuts = _groups(held, limit), candidates(held.p)
    if len(groups) < 2:
        return Choice(usual.decision, usual.value, kept=False)
    counts = [held.take(held.group == g).count(cuts) for g in groups]
    rates = [_rates(one, limit) for one in counts]
    room, best = limit.room(MARGIN), None
    while best is None:
        best = _best_within(counts, rates, aim, limit, room)
        room *= _WIDER
    decision = Decision(
        threshold=usual.decision.threshold,
        column=column,
        thresholds=tuple((values[g], float(cuts[i])) for g, i in zip(groups, best, strict=True)),
    )
    reached = _apart(np.stack([r[[i]] for r, i in zip(rates, best, strict=True)]), limit)[0]
    return Choice(decision, _value(counts, best, aim), kept=bool(reached <= limit.room(1.0) + 1e-9))


def _best_within(
    counts: Sequence[Counts], rates: Sequence[np.ndarray], aim: Aim, limit: Limit, room: float
) -> list[int] | None:
    """The cut of each group, (G,), under which all rates lie within one range; None where there is no such range."""
    lows, highs = _ranges(rates[0].shape[1], limit, room)
    fits = [np.asarray(((r >= lows[:, None]) & (r <= highs[:, None])).all(axis=2)) for r in rates]  # (m, T) each
    possible = np.all(np.stack([one.any(axis=1) for one in fits]), axis=0)
    if not possible.any():
        return None
    goal, best = 0.0, None
    for _ in range(_STEPS if aim.metric == "f1" else 1):
        gains = [np.where(one, _gain(c, counts, aim, goal), -np.inf) for one, c in zip(fits, counts, strict=True)]
        total = np.sum([gain.max(axis=1) for gain in gains], axis=0)
        chosen = int(np.argmax(np.where(possible, total, -np.inf)))
        best = [int(gain[chosen].argmax()) for gain in gains]
        goal = _value(counts, best, aim)
    return best


def _ranges(rates: int, limit: Limit, room: float) -> tuple[np.ndarray, np.ndarray]:
    """The ranges of rates that are tried, (m, k) each: lower and upper ends."""
    steps = np.linspace(0, 1, _ANCHORS[rates])
    anchors = np.array(list(product(steps, repeat=rates)))
    if limit.is_ratio:
        return anchors * max(0.0, 1 - room) - 1e-9, np.where(anchors > 0, anchors, -1.0)
    return anchors - 1e-9, anchors + room + 1e-9


def _gain(one: Counts, every: Sequence[Counts], aim: Aim, goal: float) -> np.ndarray:
    """What a group adds to the aim at each cut, (T,).

    F1 is a ratio of sums: with `goal` the value reached so far, twice the hits less `goal` times the divisor grows
    until nothing is left to gain. Source: Dinkelbach, On Nonlinear Fractional Programming, 1967.
    """
    if aim.metric == "cost":
        (right_no, alarm), (miss, right_yes) = aim.costs or ((0.0, 1.0), (1.0, 0.0))
        spent = right_no * one.passed + alarm * one.alarms + miss * one.misses + right_yes * one.hits
        return np.asarray(-spent)
    if aim.metric == "balanced_accuracy":
        true = sum(float(c.hits[0] + c.misses[0]) for c in every)
        false = sum(float(c.alarms[0] + c.passed[0]) for c in every)
        return np.asarray(one.hits / max(true, 1e-12) + one.passed / max(false, 1e-12))
    if aim.metric == "f1":
        return np.asarray(2 * one.hits - goal * (2 * one.hits + one.alarms + one.misses))
    return np.asarray(one.hits + one.passed)


def _value(counts: Sequence[Counts], cuts: Sequence[int], aim: Aim) -> float:
    """The metric of all groups together, each at its cut."""
    names = ("hits", "alarms", "misses", "passed")
    sums: Mapping[str, np.ndarray] = {
        name: np.array([sum(float(getattr(c, name)[i]) for c, i in zip(counts, cuts, strict=True))]) for name in names
    }
    return float(measures(Counts(**sums), aim.costs)[aim.metric][0])
