"""Intervals for metrics, and a bound for means that is honest when losses are few and heavy-tailed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from volant.core.protocols import Task
from volant.core.records import Batch, Score
from volant.evaluate.sampling import (
    BUDGET,
    LEAST_DRAWS,
    MOST_DRAWS,
    Units,
    draw,
    draws_for,
    leave_out,
    seed_of,
    units_by,
)
from volant.tasks.metrics import Measure, Resampled, applicable, finite, known, measure_of, ready, take

Statistic = Callable[[np.ndarray], np.ndarray]
"""Means (k, B) to values (B,)."""

Bounds = Callable[[float, np.ndarray, float, float], "Interval"]
"""A value, its resampled values (B,), the effective number of keys and alpha, to an interval."""


@dataclass(frozen=True)
class Interval:
    """A value and its bounds, each of which is wrong with probability `alpha` at most."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """The standard deviation and skewness of one key's influence on a statistic."""

    deviation: float
    skewness: float


@dataclass(frozen=True)
class Foreseen:
    """How a statistic is expected to spread: `variance` and `third` moment of what light keys add to it together.

    `keys` is how many equal keys would be as informative as the light ones, and `heavy` what the others add about
    their mean, drawn many times (d,); empty where no key is heavy.
    """

    variance: float
    third: float
    keys: float
    heavy: np.ndarray

    def spread(self) -> Spread:
        """Of one of the light keys."""
        if not (self.variance > 0 and self.keys > 0):
            return Spread(0.0, 0.0)
        skewness = self.third / self.variance**1.5 * math.sqrt(self.keys)
        return Spread(math.sqrt(self.variance * self.keys), skewness)


NOTHING = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Quantiles:
    """Of the normal distribution and of Student's, at one level."""

    normal: float
    student: float

    @staticmethod
    def at(alpha: float, keys: float) -> Quantiles:
        from scipy.special import ndtri, stdtrit

        return Quantiles(float(-ndtri(alpha)), float(-stdtrit(max(keys - 1.0, 1.0), alpha)))

    def reach(self, skewness: float, keys: float) -> float:
        """Standard errors from a mean to its bound on the side where `skewness` below zero means a long tail.

        Source: Hall, On the Removal of Skewness by Transformation, 1992, equation 2.1. Only ever widens.
        """
        return self.student + max(0.0, -skewness) * (2 * self.normal**2 + 1) / (6 * math.sqrt(keys))

    def stretch(self, keys: float) -> float:
        """How much wider a percentile interval must be for few keys. Source: Hesterberg 2015, section 5.3."""
        ratio = self.student / self.normal if self.normal > 1e-6 else 1.0
        return ratio * math.sqrt((keys + 1) / (keys - 1))


def interval_of_means(
    values: np.ndarray,
    statistic: Statistic,
    units: Units,
    *,
    alpha: float,
    seed: int,
    draws: int = MOST_DRAWS,
    expected: Callable[[np.ndarray, int], Foreseen] | None = None,
) -> Interval:
    """Bounds of `statistic` of the weighted means of `values` (n, k), each at level 1 - `alpha`.

    The lower bound is the least of a bootstrap percentile, drawn with one more key that is a copy of the
    most harmful one, and of Student's bound, corrected for skewness; the upper bound mirrors it.
    `expected(gradient, seed)` tells the spread that the models themselves expect, which widens the bounds where
    a tail was too rare to be seen.
    Source: Learned-Miller and Thomas, A New Confidence Interval for the Mean of a Bounded Random Variable, 2019.
    """
    keys = units.effective()
    if keys == 0 or not np.isfinite(values).all():
        return NOTHING
    sums = _sums(values, units)  # (size, k + 1), the last the weights
    means = sums[:, :-1].sum(axis=0) / sums[:, -1].sum()
    value = float(statistic(means[:, None])[0])
    if keys < 2 or not math.isfinite(value):
        return Interval(value, math.nan, math.nan)
    gradient = _gradient(statistic, means)
    influence = (sums[:, :-1] - sums[:, -1:] * means) @ gradient * (len(sums) / sums[:, -1].sum())  # (size,)
    foreseen = expected(gradient, seed) if expected is not None else Foreseen(0.0, 0.0, keys, np.empty(0))
    low, high = _foretold(value, _spread(influence, keys), foreseen, alpha, keys)
    blocks = units.blocks(seed)
    if blocks.size < units.size:
        sums = _sums(values, blocks)
        influence = (sums[:, :-1] - sums[:, -1:] * means) @ gradient
    drawn = draw(len(sums) + 1, draws_for(len(sums), draws), seed)
    below, above = _percentiles(sums, statistic, influence, alpha, drawn)
    stretch = Quantiles.at(alpha, keys).stretch(keys)
    low = min(low, value + (below - value) * stretch, value)
    return Interval(value, low, max(high, value + (above - value) * stretch, value))


def _sums(values: np.ndarray, units: Units) -> np.ndarray:
    columns = [np.bincount(units.place, units.weight * v, units.size) for v in values.T]
    return np.stack([*columns, np.bincount(units.place, units.weight, units.size)], axis=1)


def _gradient(statistic: Statistic, means: np.ndarray) -> np.ndarray:
    step = 1e-6 * np.maximum(np.abs(means), 1e-9)
    moved = np.concatenate([means[:, None] + np.diag(step), means[:, None] - np.diag(step)], axis=1)  # (k, 2k)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = statistic(moved)
    slopes = (values[: len(means)] - values[len(means) :]) / (2 * step)
    return np.where(np.isfinite(slopes), slopes, 0.0)


def _spread(influence: np.ndarray, keys: float) -> Spread:
    """Deviation with the usual correction for few keys, and skewness."""
    variance = float((influence**2).mean())
    if variance <= 0.0:
        return Spread(0.0, 0.0)
    share = keys / len(influence)
    skewness = float((influence**3).mean()) / variance**1.5 * math.sqrt(share)
    return Spread(math.sqrt(variance * share * keys / (keys - 1)), skewness)


def _foretold(value: float, seen: Spread, foreseen: Foreseen, alpha: float, keys: float) -> tuple[float, float]:
    """Bounds from what was seen and what was to be expected.

    Where keys are heavy, the two are bounds of their own, and half of `alpha` each goes to heavy and light keys.
    """
    if not foreseen.heavy.size:
        return _student(value, seen, foreseen.spread(), alpha, keys)
    nothing = Spread(0.0, 0.0)
    low, high = _student(value, seen, nothing, alpha, keys)
    below, above = _student(value, nothing, foreseen.spread(), alpha / 2, foreseen.keys)
    ends = np.quantile(foreseen.heavy, [alpha / 2, 1 - alpha / 2])
    return min(low, below - float(ends[1])), max(high, above - float(ends[0]))


def _student(value: float, seen: Spread, foreseen: Spread, alpha: float, keys: float) -> tuple[float, float]:
    error = max(seen.deviation, foreseen.deviation) / math.sqrt(max(keys, 1.0))
    quantiles = Quantiles.at(alpha, keys)
    left = quantiles.reach(min(seen.skewness, foreseen.skewness), keys)
    right = quantiles.reach(min(-seen.skewness, -foreseen.skewness), keys)
    return value - error * left, value + error * right


def _percentiles(
    sums: np.ndarray, statistic: Statistic, influence: np.ndarray, alpha: float, drawn: Iterator[np.ndarray]
) -> tuple[float, float]:
    """The two percentiles, each drawn with one more key like the one that pulls furthest to its side."""
    size = len(sums)
    ends = sums[influence.argmin()], sums[influence.argmax()]
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for weights in drawn:
        totals = weights[:, :size] @ sums  # (b, k + 1)
        for end, values in zip(ends, found, strict=True):
            more = totals + weights[:, size:] * end
            values.append(statistic((more[:, :-1] / more[:, -1:]).T))
    below, above = (np.concatenate(values) for values in found)
    return float(np.quantile(below, alpha)), float(np.quantile(above, 1 - alpha))


def interval_of_resamples(value: float, values: np.ndarray, keys: float, alpha: float) -> Interval:
    """Bounds from a metric's `value` and its resampled `values` (B,): percentile and Student's, the wider of both.

    The bootstrap's own bias is taken out, as a calibration error is larger in every resample.
    """
    if keys < 2 or not (math.isfinite(value) and np.isfinite(values).all()):
        return Interval(value, math.nan, math.nan)
    quantiles = Quantiles.at(alpha, keys)
    middle, stretch = float(values.mean()), quantiles.stretch(keys)
    error = float(values.std()) * math.sqrt((keys + 1) / (keys - 1))
    # Exponential weights double the skewness, hence the half.
    skewness = float(((values - middle) ** 3).mean()) / error**3 * math.sqrt(keys) / 2 if error > 0 else 0.0
    low, high = (float(q) - middle for q in np.quantile(values, [alpha, 1 - alpha]))
    left, right = quantiles.reach(skewness, keys), quantiles.reach(-skewness, keys)
    return Interval(value, value + min(low * stretch, -error * left), value + max(high * stretch, error * right))


def interval_of_parts(value: float, values: np.ndarray, keys: float, alpha: float) -> Interval:
    """Bounds from a metric's values without each of `PARTS` parts of many keys: the grouped jackknife.

    Source: Shao and Tu, The Jackknife and Bootstrap, 1995, section 2.3.
    """
    if keys < 2 or not np.isfinite(values).all():
        return Interval(value, math.nan, math.nan)
    error = math.sqrt((len(values) - 1) * float(values.var()))
    reach = Quantiles.at(alpha, len(values)).student
    return Interval(value, value - reach * error, value + reach * error)


def score(
    units: Batch,
    task: Task,
    *,
    metrics: Sequence[str] | None = None,
    keys: np.ndarray | None = None,
    seed: int = 0,
    level: float = 0.95,
    draws: int = MOST_DRAWS,
) -> tuple[Score, ...]:
    """The task's metrics with two-sided intervals; rows of one key are resampled together, `draws` times at most.

    Units without a known truth are left out; their number is the length of `units` less `Score.n`.
    """
    keep = known(units)
    units, keys = take(units, keep), None if keys is None else keys[keep]
    measures = {name: measure_of(task.metrics[name]) for name in metrics or applicable(task.metrics, units)}
    n = int(keep.sum())
    if n == 0 or not finite(units):
        return tuple(Score(name, math.nan, math.nan, math.nan, n) for name in measures)
    group, alpha = units_by(keys, units.get("weight"), n), (1 - level) / 2
    found = {}
    for name, one in measures.items():
        if one.unit is not None:
            values, own = one.unit(units)[:, None], seed_of(seed, name)
            found[name] = interval_of_means(values, _link(one), group, alpha=alpha, seed=own, draws=draws)
    rest = {name: one for name, one in measures.items() if one.unit is None}
    cost = n * sum(v[0].size for v in units.values())
    found |= _resampled(rest, units, group, alpha, weigh(group, cost, seed, draws))
    return tuple(_score(name, found[name], one, n, alpha, group.effective()) for name, one in measures.items())


def _link(measure: Measure) -> Statistic:
    return lambda means: np.asarray(measure.link(means[0]))


def _resampled(
    measures: Mapping[str, Measure],
    units: Batch,
    group: Units,
    alpha: float,
    weighing: tuple[Iterator[np.ndarray], Bounds],
) -> dict[str, Interval]:
    """Intervals of metrics that are no means; all share the same draws."""
    made = {name: ready(one, units) for name, one in measures.items()}
    values = {name: float(of(group.weight[None, :])[0]) for name, of in made.items()}
    usable = {name: of for name, of in made.items() if math.isfinite(values[name])}
    found = {name: Interval(value, math.nan, math.nan) for name, value in values.items()}
    drawn, bounds = weighing
    for name, listed in _all(usable, drawn).items():
        found[name] = bounds(values[name], listed, group.effective(), alpha)
    return found


def weigh(group: Units, cost: int, seed: int, draws: int = MOST_DRAWS) -> tuple[Iterator[np.ndarray], Bounds]:
    """Weights of units, (b, n) at a time, and what makes bounds of the values that a metric has under them.

    `cost` is how many numbers one resample works on; it decides between bootstrap and jackknife.
    """
    if cost * LEAST_DRAWS > BUDGET:
        return leave_out(group, seed), interval_of_parts
    drawn = draw(group.size, draws_for(cost, draws), seed)
    return (weights[:, group.place] * group.weight for weights in drawn), interval_of_resamples


def _all(usable: Mapping[str, Resampled], drawn: Iterator[np.ndarray]) -> dict[str, np.ndarray]:
    """The values of several metrics under the same weights."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in usable}
    for weights in drawn if usable else ():
        for name, of in usable.items():
            found[name].append(of(weights))
    return {name: np.concatenate(values) for name, values in found.items()}


def _score(name: str, interval: Interval, measure: Measure, n: int, alpha: float, keys: float) -> Score:
    """Within the metric's bounds; a perfect value keeps the uncertainty that so few keys leave."""
    least, most = measure.bounds
    low, high = interval.low, interval.high
    if low == high and math.isfinite(most - least):
        slack = (most - least) * (1 - alpha ** (1 / max(keys, 1.0)))
        low, high = (low - slack if high == most else low), (high + slack if low == least else high)
    return Score(name, interval.value, float(np.clip(low, least, most)), float(np.clip(high, least, most)), n)
