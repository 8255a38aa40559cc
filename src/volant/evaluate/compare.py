"""Comparing two models on the same rows: paired, oriented so that more is better, with an honest lower bound.

A bound from the differences alone fails where harm is rare: thirty rows on which a rash challenger was
right say nothing of the one in a hundred on which it is badly wrong. Both models do say, in their
probabilities, how often that should happen; what they expect widens the bound (`Imagines`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from volant.core.protocols import Task
from volant.core.records import Batch, Comparison
from volant.errors import Failure
from volant.evaluate.intervals import NOTHING, Foreseen, Interval, Statistic, interval_of_means, weigh
from volant.evaluate.sampling import Units, seed_of, units_by
from volant.tasks.metrics import Measure, known, measure_of, ready, take

HEAVY, UNLIKE = 0.02, 10
"""The share of the weight from which a key is imagined by itself, if it is so many times what keys have on average."""

MOST_ROWS = 1_000
"""Of a heavy key's rows so many are looked at."""

DRAWS = 20_000
"""How often the truths of heavy keys are imagined."""


@runtime_checkable
class Imagines(Protocol):
    """A task whose models say how probable each truth is."""

    def imagine(self, champion: Batch, challenger: Batch) -> Iterator[tuple[np.ndarray, Batch, Batch]]:
        """For each possible truth: its probability for each unit, (n,), and both models' units as if it were so."""


@dataclass(frozen=True)
class Pair:
    """Both models' units on the same rows, and how these depend on each other."""

    champion: Batch
    challenger: Batch
    units: Units

    def take(self, mask: np.ndarray) -> Pair:
        """Some of the rows."""
        _, place = np.unique(self.units.place[mask], return_inverse=True)
        units = Units(place, int(place.max(initial=-1)) + 1, self.units.weight[mask])
        return Pair(take(self.champion, mask), take(self.challenger, mask), units)


def compare(
    champion_units: Batch,
    challenger_units: Batch,
    *,
    task: Task,
    metric: str,
    slices: Mapping[str, np.ndarray] | None = None,
    alpha: float = 0.05,
    keys: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    seed: int = 0,
) -> list[Comparison]:
    """Paired differences over all rows (slice `""`, first) and over each slice, a mask (n,).

    Each bound is wrong with probability `alpha` at most. Rows of one key are resampled together. Units without
    a known truth are left out. What cannot be compared (no rows, a prediction that is not finite, a metric that
    is not defined) has NaN for its bounds, which no gate lets pass.

    Raises:
        Failure: code `internal`, when the two sides are not the same rows.
    """
    n = _rows(champion_units, challenger_units)
    measure = measure_of(task.metrics[metric])
    masks = {"": np.ones(n, dtype=bool), **(slices or {})}
    if n == 0:
        return [_comparison(measure, name, 0, NOTHING, (math.nan, math.nan)) for name in masks]
    given = champion_units.get("weight") if weights is None else weights
    pair = Pair(champion_units, challenger_units, units_by(keys, given, n))
    truth = known(champion_units)
    return [
        _of_slice(pair.take(np.asarray(mask, dtype=bool) & truth), measure, task, name, alpha, seed)
        for name, mask in masks.items()
    ]


def _rows(champion: Batch, challenger: Batch) -> int:
    """The number of rows, once it is certain that they are the same."""
    sides = [units.get("y", np.empty(0)) for units in (champion, challenger)]
    if not np.array_equal(sides[0], sides[1], equal_nan=sides[0].dtype.kind == "f"):
        raise Failure(
            "the two models were not judged on the same rows",
            code="internal",
            where="compare",
            got=f"{len(sides[0])} and {len(sides[1])} rows",
            fix="report this",
        )
    return len(sides[0])


def _of_slice(pair: Pair, measure: Measure, task: Task, name: str, alpha: float, seed: int) -> Comparison:
    n = len(pair.units.place)
    if n == 0:
        return _comparison(measure, name, 0, NOTHING, (math.nan, math.nan))
    whole = pair.units.weight[None, :]
    both = tuple(float(ready(measure, units)(whole)[0]) for units in (pair.champion, pair.challenger))
    seed = seed_of(seed, name)
    if not all(math.isfinite(value) for value in both):
        interval = NOTHING
    elif measure.unit is not None:
        interval = _by_unit(pair, measure, task, alpha, seed)
    else:
        interval = _by_resamples(pair, measure, alpha, seed)
    found = _comparison(measure, name, n, interval, (both[0], both[1]))
    return replace(found, heaviest=pair.units.heaviest())


def _comparison(measure: Measure, name: str, n: int, interval: Interval, both: tuple[float, float]) -> Comparison:
    return Comparison(
        measure.name, name, n, interval.value, interval.low, interval.high, both[0], both[1], measure.scale
    )


def gain(measure: Measure, champion: np.ndarray, challenger: np.ndarray) -> np.ndarray:
    """The oriented difference, relative to the champion's value where the metric is judged so.

    Against a champion whose value is 0 nothing is a relative gain: equal is 0, worse is minus infinity.
    """
    difference = (challenger - champion) if measure.greater_is_better else (champion - challenger)
    if measure.scale != "relative":
        return np.asarray(difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(difference == 0, 0.0, difference / np.abs(champion))


def _by_unit(pair: Pair, measure: Measure, task: Task, alpha: float, seed: int) -> Interval:
    """Where the metric is a mean over units: everything follows from two values per unit."""
    values = _values(measure, pair.champion, pair.challenger)
    expected = None
    if isinstance(task, Imagines):
        moments = _Imagined(pair, measure, task, np.average(values, axis=0, weights=pair.units.weight))
        expected = moments.foreseen
    return interval_of_means(values, _gain_of(measure), pair.units, alpha=alpha, seed=seed, expected=expected)


def _values(measure: Measure, champion: Batch, challenger: Batch) -> np.ndarray:
    assert measure.unit is not None
    return np.stack([measure.unit(champion), measure.unit(challenger)], axis=1)  # (n, 2)


def _gain_of(measure: Measure) -> Statistic:
    return lambda means: gain(measure, measure.link(means[0]), measure.link(means[1]))


@dataclass(frozen=True)
class _Imagined:
    """How far the gain may lie from its mean if the models' own probabilities decide what is true.

    As far as one can foresee, rows of one key share a truth. A key counts by its own weight: one of which both
    models are sure adds little, however heavy it is.
    """

    pair: Pair
    measure: Measure
    task: Imagines
    means: np.ndarray

    def foreseen(self, gradient: np.ndarray, seed: int) -> Foreseen:
        """Moments for the many light keys, draws for the few heavy ones, whose sum is far from normal."""
        units, rng = self.pair.units, np.random.default_rng(seed)
        weight = units.weight / units.weight.sum()
        shares = np.bincount(units.place, weight, units.size)
        least = max(HEAVY, UNLIKE / units.size)
        picked = {k: _some(np.flatnonzero(units.place == k), rng) for k in np.flatnonzero(shares > least)}
        told: dict[int, list[np.ndarray]] = {key: [] for key in picked}
        raw = np.zeros((3, len(weight)))
        for probable, champion, challenger in self.task.imagine(self.pair.champion, self.pair.challenger):
            influence = (_values(self.measure, champion, challenger) - self.means) @ gradient
            raw += [probable * influence**k for k in (1, 2, 3)]
            for key, rows in picked.items():
                told[key].append(np.stack([influence[rows], probable[rows] * weight[rows]]))
        drawn = [_drawn(*np.concatenate(one, axis=1), shares[key], rng) for key, one in told.items()]
        mean, share = float(raw[0] @ weight), shares[units.place]
        square, cube = raw[1] - 2 * mean * raw[0] + mean**2, raw[2] - 3 * mean * raw[1] + 3 * mean**2 * raw[0] - mean**3
        light = weight * (share <= least)
        left = shares[shares <= least]
        keys = float(left.sum() ** 2 / (left**2).sum()) if left.any() else 0.0
        return Foreseen((light * share) @ square, (light * share**2) @ cube, keys, np.sum(drawn, axis=0))


def _some(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= MOST_ROWS else rng.choice(rows, MOST_ROWS, replace=False)


def _drawn(influence: np.ndarray, chances: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """What a key adds to the gain about its mean, (`DRAWS`,): of its rows and truths, (m,), one is drawn each time."""
    upto = np.cumsum(chances)
    found = np.minimum(np.searchsorted(upto, rng.random(DRAWS) * upto[-1]), len(upto) - 1)
    return np.asarray((influence[found] - influence @ chances / upto[-1]) * share)


def _by_resamples(pair: Pair, measure: Measure, alpha: float, seed: int) -> Interval:
    """Where the metric is no mean: weigh both sides alike."""
    sides = ready(measure, pair.champion), ready(measure, pair.challenger)
    cost = 2 * len(pair.units.place) * max(v[0].size for v in pair.champion.values())
    drawn, bounds = weigh(pair.units, cost, seed)

    def gains(weights: np.ndarray) -> np.ndarray:
        return gain(measure, sides[0](weights), sides[1](weights))

    value = float(gains(pair.units.weight[None, :])[0])
    return bounds(value, np.concatenate([gains(weights) for weights in drawn]), pair.units.effective(), alpha)
