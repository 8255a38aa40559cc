"""Simulations of judging: looking after every row (A), a slice that pays for the mean (E), a bad release (F).

The streams know nothing of the tests: they say who was right on which row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.core.plugins import load
from volant.core.records import Problem
from volant.evaluate.compare import compare
from volant.evidence.sequential import spent
from volant.release.gate import CandidateFacts, GateRules, alpha_for_turn, decide
from volant.wheel.live import verdict_of


def rights(rows: int, chance: np.random.Generator, *, differ: float, gain: float) -> np.ndarray:
    """Who was right, as the challenger's gain per row, in {−1, 0, 1}, (rows,).

    On a share `differ` of the rows the two answer differently; there one of them is right in three of four cases, and
    the challenger by `gain` more often than the champion, over all rows.
    """
    differs = chance.random(rows) < differ
    one = chance.random(rows) < max(0.75, gain / differ)
    ours = chance.random(rows) < 0.5 + gain / (2 * differ * max(0.75, gain / differ))
    return np.asarray(np.where(differs & one, np.where(ours, 1.0, -1.0), 0.0))


def shuffled(ours: np.ndarray, theirs: np.ndarray, rows: int, chance: np.random.Generator) -> np.ndarray:
    """The gains of two real models of which nobody is the better one: on each row it is drawn who is the challenger.

    Args:
        ours: whether one model is right on held-out rows, (n,).
        theirs: the same of the other one, (n,).
        rows: how many rows come.
        chance: decides.
    """
    drawn = chance.integers(0, len(ours), rows)
    gains = ours[drawn].astype(np.float64) - theirs[drawn].astype(np.float64)
    return np.asarray(gains * chance.choice([-1.0, 1.0], rows))


@dataclass(frozen=True)
class Counted:
    """How often something happened."""

    hits: int
    repeats: int
    rows: tuple[int, ...] = ()


def peeked(gains: np.ndarray, level: float) -> tuple[str, int]:
    """What is decided first if one looks after every row, and after how many: as live traffic is looked at."""
    return verdict_of(gains, 1.0 + 1e-9, level)


def peeking(repeats: int, rows: int, *, differ: float, gain: float, alpha: float, seed: int = 0) -> Counted:
    """A: how often a challenger of that true gain is promoted by somebody who looks after every row."""
    level, found = spent(alpha, 1) / 2, []
    for number in range(repeats):
        chance = np.random.default_rng([seed, number])
        said, after = peeked(rights(rows, chance, differ=differ, gain=gain), level)
        if said == "better":
            found.append(after)
    return Counted(len(found), repeats, tuple(found))


def peeking_at_models(
    ours: np.ndarray, theirs: np.ndarray, repeats: int, rows: int, *, alpha: float, seed: int = 0
) -> Counted:
    """A with two real models that are made equal."""
    level = spent(alpha, 1) / 2
    said = [peeked(shuffled(ours, theirs, rows, np.random.default_rng([seed, n])), level)[0] for n in range(repeats)]
    return Counted(sum(one == "better" for one in said), repeats)


def regression(repeats: int, rows: int, *, loss: float, differ: float, alpha: float, seed: int = 0) -> Counted:
    """F: how often a release that is worse by `loss` is rolled back within so many labelled events."""
    level, found = spent(alpha, 1) / 2, []
    for number in range(repeats):
        chance = np.random.default_rng([seed, 7, number])
        said, after = peeked(rights(rows, chance, differ=differ, gain=-loss), level)
        if said == "worse":
            found.append(after)
    return Counted(len(found), repeats, tuple(found))


def hidden_slice(repeats: int, *, harm: float, rows: int = 4000, seed: int = 0) -> dict[str, Any]:
    """E: challengers that are better on the whole, and worse by `harm` on a slice of an eighth of the rows.

    Gives how often they were refused with the slice named, and how often they passed.
    """
    task, refused, passed = load("tasks", "classify"), 0, 0
    for number in range(repeats):
        chance = np.random.default_rng([seed, 11, number])
        small = chance.random(rows) < 0.125
        truth = (chance.random(rows) < 0.5).astype(np.int64)
        before = _sure(truth, np.full(rows, 0.80), chance)
        right = np.where(small, 0.80 - harm, 0.86) if harm else np.full(rows, 0.86)
        after = _sure(truth, right, chance)
        problem = Problem("classify", "y", (), rows, ("no", "yes"), "accuracy")
        units = [task.units(truth, {"probability": p}, problem) for p in (before, after)]
        alpha = alpha_for_turn(0.05, 1)
        found = compare(*units, task=task, metric="accuracy", slices={"small": small}, alpha=alpha, seed=number)
        rules = GateRules(metric="accuracy", required=("small",), alpha=alpha, greater_is_better={"accuracy": True})
        verdict = decide(found, rules, CandidateFacts("challenger", "champion"))
        passed += verdict.passed
        refused += not verdict.passed and any("small" in reason for reason in verdict.reasons)
    return {"repeats": repeats, "refused": refused, "passed": passed}


def _sure(truth: np.ndarray, right: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Probabilities of somebody who is right with these rates, (n, 2)."""
    answer = np.where(chance.random(len(truth)) < right, truth, 1 - truth)
    yes = np.where(answer == 1, 0.85, 0.15)
    return np.stack([1 - yes, yes], axis=1)
