"""Fairness: how a model treats groups of people, and how far apart they lie, with intervals.

The metrics are those of fairlearn: rates per group; the difference is that between the highest and the lowest group,
the ratio that of the lowest to the highest, and equalized odds the larger of two differences.
Source: Hardt, Price and Srebro, Equality of Opportunity in Supervised Learning, 2016; Weerts et al., Fairlearn, 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Batch, Gap
from volant.evaluate.gaps import NONE, Distance, Rate, lowest, mean_limits, share_limits, widest
from volant.evaluate.sampling import units_by
from volant.evaluate.slices import declared_slices
from volant.tasks.classify_metrics import answered
from volant.tasks.metrics import known, take

LEAST_CASES = 10
"""Rows behind a group's rate below which the group is shown and not compared."""

LEVEL = 0.025
"""Error of each end of the 95 % intervals that reports show."""

GAPS: Mapping[str, tuple[str, ...]] = {
    "demographic_parity_difference": ("selection_rate",),
    "demographic_parity_ratio": ("selection_rate",),
    "equal_opportunity_difference": ("true_positive_rate",),
    "equalized_odds_difference": ("true_positive_rate", "false_positive_rate"),
    "accuracy_difference": ("accuracy",),
    "mean_error_difference": ("mean_error",),
    "mae_difference": ("mae",),
}
"""Each metric of fairness by the rates that it compares."""

DEFAULT = {"probability": "equalized_odds_difference", "value": "mae_difference"}
"""What is limited where the product file does not say, by the task's output."""

SUMMARIES = {
    "selection_rate": "share that is answered as positive",
    "true_positive_rate": "share of the truly positive that is answered so",
    "false_positive_rate": "share of the truly negative that is answered as positive",
    "accuracy": "share that is answered right",
    "mean_error": "mean of prediction minus truth",
    "mae": "mean absolute error",
}


@dataclass(frozen=True)
class Outcome:
    """What a rate is the mean of: `values` (n,) over the rows of `mask` (n,); `share` tells that they are 0 or 1."""

    values: np.ndarray
    mask: np.ndarray
    share: bool = True


@dataclass(frozen=True)
class Group:
    """A group of people by name, its rows, its rates; `known` is False for those whose group is missing."""

    name: str
    n: int
    rates: Mapping[str, Rate]
    known: bool = True


@dataclass(frozen=True)
class Audit:
    """How the groups of a column, or of two columns crossed, are treated."""

    column: str
    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]


def outcomes(units: Batch, positive: int | None) -> dict[str, Outcome]:
    """What each rate is the mean of. `positive` is the class that counts as being selected, if there is one."""
    whole = np.ones(len(units["y"]), dtype=bool)
    if "p" not in units:
        error = units["f"] - units["y"]
        return {"mean_error": Outcome(error, whole, False), "mae": Outcome(np.abs(error), whole, False)}
    answer = answered(units)
    found = {"accuracy": Outcome((answer == units["y"]).astype(np.float64), whole)}
    if positive is None:
        return found
    selected, true = (answer == positive).astype(np.float64), units["y"] == positive
    return {
        "selection_rate": Outcome(selected, whole),
        "true_positive_rate": Outcome(selected, true),
        "false_positive_rate": Outcome(selected, ~true),
        **found,
    }


def positive_class(classes: Sequence[str], named: str | None) -> int | None:
    """The place of the class that counts as being selected: the named one, else the second of two."""
    if named is not None:
        return list(classes).index(named)
    return 1 if len(classes) == 2 else None


@dataclass(frozen=True)
class Sample:
    """What is known of a group's rate: its value and variance, the rows behind it and how many they are worth."""

    value: float
    variance: float
    n: int
    worth: float
    share: bool

    def rate(self, alpha: float) -> Rate:
        """The rate with limits, each wrong with probability `alpha` at most."""
        if not np.isfinite(self.value):
            return Rate(np.nan, np.nan, np.nan, self.n)
        if self.share:
            return Rate(self.value, *share_limits(self.value, self.worth, alpha), self.n)
        return Rate(self.value, *mean_limits(self.value, self.variance, self.worth, alpha), self.n)


@dataclass(frozen=True)
class Judging:
    """The rows to look at: what each rate is the mean of, the number of each row's key and its weight, (n,) each."""

    outcomes: Mapping[str, Outcome]
    place: np.ndarray
    weights: np.ndarray

    @staticmethod
    def of(units: Batch, keys: np.ndarray, weights: np.ndarray, positive: int | None) -> Judging:
        """The units of some rows, whose truth must be known; rows of one key count as one."""
        return Judging(outcomes(units, positive), units_by(keys, weights, len(weights)).place, weights)

    def sample(self, rate: str, mask: np.ndarray) -> Sample:
        """A group's rate, from its rows."""
        outcome = self.outcomes[rate]
        inside = np.flatnonzero(outcome.mask & mask)
        weights, values = self.weights[inside], outcome.values[inside]
        total = float(weights.sum())
        if not total > 0:
            return Sample(np.nan, np.nan, len(inside), 0.0, outcome.share)
        mean = float((values * weights).sum()) / total
        per_key = np.bincount(self.place[inside], weights)
        worth = total**2 / float((per_key**2).sum())
        variance = float(((values - mean) ** 2 * weights).sum()) / total
        return Sample(mean, variance, len(inside), worth, outcome.share)

    def samples(self, masks: Mapping[str, np.ndarray]) -> dict[str, dict[str, Sample]]:
        """Every rate of every group."""
        return {rate: {name: self.sample(rate, mask) for name, mask in masks.items()} for rate in self.outcomes}


def groups_of(rows: Rows, columns: Sequence[str], least: int) -> dict[str, np.ndarray]:
    """Masks (n,) by name of the groups in a column, or in columns crossed; small ones are put together."""
    masks = declared_slices(rows, columns[:1], least=least)
    for column in columns[1:]:
        other = declared_slices(rows, [column], least=least)
        crossed = {f"{a} · {b}": one & two for a, one in masks.items() for b, two in other.items()}
        masks = _gathered({name: mask for name, mask in crossed.items() if mask.any()}, least)
    return masks


def _gathered(masks: dict[str, np.ndarray], least: int) -> dict[str, np.ndarray]:
    rare = [name for name, mask in masks.items() if mask.sum() < least]
    if len(rare) < 2:
        return masks
    kept = {name: mask for name, mask in masks.items() if name not in rare}
    return {**kept, f"{len(rare)} small groups": np.any([masks[name] for name in rare], axis=0)}


def is_known(name: str) -> bool:
    """Whether a group is one of people of whom something is known."""
    return not name.endswith(" is missing") and " is missing · " not in name


def gap(samples: Mapping[str, Mapping[str, Sample]], metric: str, column: str, n: int, alpha: float) -> Gap:
    """How far groups of `n` rows in all lie apart by one metric; each bound is wrong with probability `alpha` at most.

    Groups with fewer than ten rows behind a rate, and people whose group is not known, are left out.
    """
    if not set(GAPS[metric]) <= set(samples):
        return Gap(metric, column, n, np.nan, np.nan, np.nan)
    measure: Callable[..., Distance] = lowest if metric.endswith("_ratio") else widest
    left, distances = dict[str, None](), []
    for rate in GAPS[metric]:
        known = {name: one for name, one in samples[rate].items() if is_known(name)}
        left |= dict.fromkeys(name for name, one in known.items() if one.n < LEAST_CASES)
        used = {name: one for name, one in known.items() if one.n >= LEAST_CASES}
        strict = alpha / max(1, len(used) * (len(used) - 1) * len(GAPS[metric]))
        sides = [[(name, one.rate(level)) for name, one in used.items()] for level in (alpha, strict)]
        distances.append(measure(*sides))
    best = NONE
    if all(np.isfinite(d.value) for d in distances):
        best = max(distances, key=lambda d: d.value)
        best = replace(best, low=max(d.low for d in distances), high=max(d.high for d in distances))
    return Gap(metric, column, n, best.value, best.low, best.high, best.most, best.least, tuple(left))


def audit(judging: Judging, masks: Mapping[str, np.ndarray], column: str) -> Audit:
    """The rates of all groups with 95 % intervals, and all metrics of fairness between them."""
    samples = judging.samples(masks)
    sizes = {name: int(mask.sum()) for name, mask in masks.items()}
    groups = tuple(
        Group(name, size, {rate: of[name].rate(LEVEL) for rate, of in samples.items()}, is_known(name))
        for name, size in sizes.items()
    )
    metrics = [metric for metric, rates in GAPS.items() if set(rates) <= set(samples)]
    n = sum(sizes.values())
    return Audit(column, groups, tuple(gap(samples, metric, column, n, LEVEL) for metric in metrics))


def with_truth(units: Batch, rows: Rows) -> tuple[Batch, Rows]:
    """The units whose truth is known, and their rows."""
    keep = known(units)
    return (units, rows) if keep.all() else (take(units, keep), rows.take(np.flatnonzero(keep)))


def audits(units: Batch, rows: Rows, columns: Sequence[str], positive: int | None, least: int) -> list[Audit]:
    """How each column's groups are treated, and those of each two columns crossed. All units have a known truth."""
    judging = Judging.of(units, rows.keys(), rows.weights(), positive)
    crossed = [*((column,) for column in columns), *combinations(columns, 2)]
    return [audit(judging, groups_of(rows, some, least), " × ".join(some)) for some in crossed]
