"""From probabilities to answers: by cost, by a threshold or weights that are best for a metric, by group.

Whatever is chosen here is chosen on training rows that were held out, never on rows that judge or test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from volant.core.records import Decision, Step
from volant.runtime.decisions import utilities
from volant.tasks.thresholds import Counts, candidates, count, lean_measures, measures

DRAWS = 100
"""Resamples that a threshold is chosen on; it is the middle one of those that are best on each."""

ROUNDS = 3
GRID = 21
WIDEST = 3.0
"""Weights of several classes are tried up to `e` to this power, in `GRID` steps, `ROUNDS` times over the classes."""

MOST_CELLS = 2_000_000
"""Probabilities (rows times classes) that weights of several classes are chosen on."""


@dataclass(frozen=True)
class Aim:
    """What an answer should be best at: a metric, least values of others, and what mistakes cost, (C, C) or empty."""

    metric: str
    minimum: Mapping[str, float] = field(default_factory=dict)
    costs: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Choice:
    """A decision, the metric's value where it was chosen, and how sure the threshold is (80 % of resamples).

    `kept` tells whether the minima, or the limit of fairness, could be kept there.
    """

    decision: Decision
    value: float | None = None
    low: float | None = None
    high: float | None = None
    kept: bool = True


def costs_of(answer: np.ndarray, costs: Sequence[Sequence[float]]) -> np.ndarray:
    """What answers (n,) cost if the truth is each of the classes, (n, C); one that is not known costs the most."""
    table = np.asarray(costs, dtype=np.float64)  # (truth, answer)
    return np.asarray(np.concatenate([table.T, table.max(axis=1)[None, :]])[answer])


def cost_threshold(costs: Sequence[Sequence[float]]) -> float | None:
    """The threshold that follows from the costs of two classes; None where one answer is never the cheaper one.

    Source: Elkan, The Foundations of Cost-Sensitive Learning, 2001, equation 2.
    """
    (right_no, alarm), (miss, right_yes) = costs
    against, gain = alarm - right_no, miss - right_yes
    return against / (against + gain) if against > 0 and gain > 0 else None


def deciding_steps(given: str, decision: Decision, classes: Sequence[str], label: str) -> tuple[Step, ...]:
    """The steps from the probabilities named `given` to the value `label`."""
    names = {"classes": list(classes)}
    if decision.column:
        groups, thresholds = zip(*decision.thresholds, strict=True)
        params = {**names, "groups": list(groups), "thresholds": list(thresholds), "threshold": decision.threshold}
        return (Step("decide_by_group", (given, decision.column), label, params),)
    last = Step("decide", (given,), label, {**names, "threshold": decision.threshold})
    weighed = f"{label} by weight"
    if decision.costs:
        first = Step("utility", (given,), weighed, {"costs": [list(row) for row in decision.costs]})
    elif decision.weights:
        first = Step("reweigh", (given,), weighed, {"factors": list(decision.weights)})
    else:
        return (last,)
    return first, Step("decide", (weighed,), label, last.params)


def answers(p: np.ndarray, decision: Decision, group: np.ndarray | None = None) -> np.ndarray:
    """The answers (n,) int64 that a decision gives for probabilities (n, C) and the values of its column (n,)."""
    if decision.column:
        assert group is not None
        known = dict(decision.thresholds)
        least = np.array([known.get(value, decision.threshold) for value in group], dtype=np.float64)
        return np.asarray(p[:, 1] >= least, dtype=np.int64)
    if decision.threshold is not None:
        return np.asarray(p[:, 1] >= decision.threshold, dtype=np.int64)
    if decision.costs:
        return np.asarray(utilities(p, np.asarray(decision.costs)).argmax(axis=1))
    return np.asarray((p * np.asarray(decision.weights) if decision.weights else p).argmax(axis=1))


def choose(p: np.ndarray, y: np.ndarray, weights: np.ndarray, aim: Aim, seed: int = 0) -> Choice:
    """The threshold of two classes, or the weights of several, that are best for a metric.

    Args:
        p: probabilities of rows that were held out, (n, C).
        y: their true classes, (n,).
        weights: their sample weights, (n,).
        aim: what is wanted; minima are for two classes only.
        seed: of the resamples.
    """
    if p.shape[1] > 2:
        return _choose_weights(p, y, weights, aim, seed)
    cuts = candidates(p[:, 1])
    counts = count(p[:, 1], y == 1, weights, cuts)
    values = measures(counts, aim.costs)
    chosen = _best(values, aim)
    if aim.minimum:
        kept = all(values[name][chosen] >= least for name, least in aim.minimum.items())
        return Choice(Decision(threshold=float(cuts[chosen])), float(values[aim.metric][chosen]), kept=kept)
    drawn = [_best(measures(one, aim.costs), aim) for one in _resampled(p[:, 1], y, weights, cuts, seed)]
    low, middle, high = (int(np.quantile(drawn, q, method="nearest")) for q in (0.1, 0.5, 0.9))
    value = float(values[aim.metric][middle])
    return Choice(Decision(threshold=float(cuts[middle])), value, float(cuts[low]), float(cuts[high]))


def _resampled(p: np.ndarray, y: np.ndarray, weights: np.ndarray, cuts: np.ndarray, seed: int) -> list[Counts]:
    """The counts of resamples: rows between two cuts get weights that sum to a gamma variable.

    Source: Rubin, The Bayesian Bootstrap, 1981.
    """
    rng, bins = np.random.default_rng(seed), np.searchsorted(cuts, p, side="right")
    mean = float(weights.mean()) or 1.0
    sums = [np.bincount(bins[y == c], weights[y == c] / mean, len(cuts) + 1) for c in (0, 1)]
    return [Counts.of(*(rng.standard_gamma(one) for one in sums)) for _ in range(DRAWS)]


def _best(values: Mapping[str, np.ndarray], aim: Aim) -> int:
    """The best cut that keeps the minima, or the one that comes nearest to keeping them."""
    wanted = -values["cost"] if aim.metric == "cost" else values[aim.metric]
    short = sum((np.maximum(0.0, least - values[name]) for name, least in aim.minimum.items()), np.zeros(len(wanted)))
    allowed = np.flatnonzero(short <= short.min() + 1e-12)
    top = allowed[wanted[allowed] >= wanted[allowed].max() - 1e-12]
    return int(top[len(top) // 2])


def _choose_weights(p: np.ndarray, y: np.ndarray, weights: np.ndarray, aim: Aim, seed: int) -> Choice:
    """One weight per class, each made as good as can be while the others stay, a few times over."""
    rows = _some(p, seed)
    p, y, weights = p[rows], y[rows], weights[rows]
    factors = np.ones(p.shape[1])
    best = lean_measures(p.argmax(axis=1), y, weights, p.shape[1], aim)
    for turn in range(ROUNDS):
        before = best
        steps = np.exp(np.linspace(-WIDEST, WIDEST, GRID) / 2**turn)
        for c in range(p.shape[1]):
            rival, height = _rivals(p * factors, c)
            for factor in factors[c] * steps:
                answer = np.where(p[:, c] * factor > height, c, rival)
                value = lean_measures(answer, y, weights, p.shape[1], aim)
                if value > best + 1e-9:
                    best, factors = value, np.where(np.arange(len(factors)) == c, factor, factors)
        if best == before:
            break
    factors = np.round(factors / factors.max(), 6)
    return Choice(Decision(weights=tuple(float(f) for f in factors)), -best if aim.metric == "cost" else best)


def _rivals(scores: np.ndarray, c: int) -> tuple[np.ndarray, np.ndarray]:
    """The best of all classes but one, (n,), and its score."""
    others = scores.copy()
    others[:, c] = -1.0
    return others.argmax(axis=1), others.max(axis=1)


def _some(p: np.ndarray, seed: int) -> np.ndarray:
    """As many rows as can be tried in a short time."""
    most = max(1_000, MOST_CELLS // (p.shape[1] ** 2 * 8))
    if len(p) <= most:
        return np.arange(len(p))
    return np.sort(np.random.default_rng(seed).choice(len(p), most, replace=False))
