"""How the metrics of two classes move with the threshold, for all thresholds at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from volant.tasks.decisions import Aim

MOST_CUTS = 400


@dataclass(frozen=True)
class Counts:
    """Weights of rows by truth and answer, each (T,), one entry per threshold."""

    hits: np.ndarray
    alarms: np.ndarray
    misses: np.ndarray
    passed: np.ndarray

    @staticmethod
    def of(negative: np.ndarray, positive: np.ndarray) -> Counts:
        """From the weights of both classes below, between and above T cuts, (T + 1,) each."""
        below = [np.cumsum(one)[:-1] for one in (negative, positive)]
        above = [np.cumsum(one[::-1])[::-1][1:] for one in (negative, positive)]  # summed anew: nothing left is 0
        return Counts(above[1], above[0], below[1], below[0])


def candidates(scores: np.ndarray, most: int = MOST_CUTS) -> np.ndarray:
    """Thresholds worth trying: between neighbouring scores, at most so many; all in (0, 1), ascending."""
    known = np.unique(scores)
    if len(known) > most:
        known = np.unique(np.quantile(scores, np.linspace(0, 1, most)))
    inner = (known[1:] + known[:-1]) / 2
    ends = known[0] / 2, (known[-1] + 1) / 2
    cuts = np.unique(np.concatenate([[ends[0]], inner, [ends[1]]]))
    cuts = cuts[(cuts > 0) & (cuts < 1)]
    return cuts if len(cuts) else np.array([0.5])


def count(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray, cuts: np.ndarray) -> Counts:
    """What is answered right and wrong at each of the cuts; rows from a cut on are answered as positive."""
    bins = np.searchsorted(cuts, scores, side="right")
    sums = [np.bincount(bins[mask], weights[mask], len(cuts) + 1) for mask in (~positive, positive)]
    return Counts.of(*sums)


def measures(counts: Counts, costs: Sequence[Sequence[float]] = ()) -> dict[str, np.ndarray]:
    """The metrics at each threshold, (T,) each; a share of nothing is 0."""
    hits, alarms, misses, passed = counts.hits, counts.alarms, counts.misses, counts.passed
    (right_no, alarm), (miss, right_yes) = costs or ((0.0, 1.0), (1.0, 0.0))
    total = hits + alarms + misses + passed
    recall = _share(hits, hits + misses)
    return {
        "accuracy": _share(hits + passed, total),
        "balanced_accuracy": (recall + _share(passed, passed + alarms)) / 2,
        "f1": _share(2 * hits, 2 * hits + alarms + misses),
        "precision": _share(hits, hits + alarms),
        "recall": recall,
        "selected": _share(hits + alarms, total),
        "cost": _share(right_no * passed + alarm * alarms + miss * misses + right_yes * hits, total),
    }


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0))


def lean_measures(answer: np.ndarray, y: np.ndarray, weights: np.ndarray, classes: int, aim: Aim) -> float:
    """One metric of answers among several classes, oriented so that more is better."""
    table = np.bincount(y * classes + answer, weights, classes * classes).reshape(classes, classes)
    if aim.metric == "cost":
        costs = np.asarray(aim.costs) if aim.costs else 1.0 - np.eye(classes)
        return -float((table * costs).sum() / table.sum())
    return _of_table(aim.metric, table)


def _of_table(metric: str, table: np.ndarray) -> float:
    true, guessed, hit = table.sum(axis=1), table.sum(axis=0), np.diag(table)
    if metric == "accuracy":
        return float(hit.sum() / table.sum())
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]] = {
        "balanced_accuracy": (hit, true),
        "recall": (hit, true),
        "precision": (hit, guessed),
        "f1": (2 * hit, true + guessed),
    }
    present = true > 0 if metric in ("balanced_accuracy", "recall") else true + guessed > 0
    return float(_share(*parts[metric])[present].mean())
