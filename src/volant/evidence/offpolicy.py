"""What another policy would have earned, from what was logged under this one.

Each logged decision has the probability with which it was taken. Weighing its reward by how much likelier the other
policy takes it makes an unbiased estimate (IPS) of great variance; dividing by the sum of the weights (SNIPS) steadies
it; a model of the reward, corrected where it was wrong (doubly robust), steadies it more and stays unbiased where
either the probabilities or the model are right. Clicks in a list are decisions of the eye as well: who did not look
could not click, so each place has a probability of being looked at, which is learned (`appeal`).

Source: Horvitz and Thompson, 1952; Swaminathan and Joachims, NeurIPS 2015; Dudik, Langford and Li, ICML 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volant.evidence.sequential import bounds

MOST_WEIGHT = 20.0
"""Weights are cut here; what is cut makes the estimate of a better policy too low, never too high."""
_ROUNDS = 500


@dataclass(frozen=True)
class Estimate:
    """The mean reward of a policy, its bounds, and how many decisions it effectively rests on."""

    value: float
    low: float
    high: float
    n: int
    effective: float


@dataclass(frozen=True)
class Logged:
    """Decisions as columns (n,): the `reward` in [0, 1], and how likely the decision was under the policy that took it
    (`propensity`) and under the one that is judged (`target`)."""

    reward: np.ndarray
    propensity: np.ndarray
    target: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """How much likelier the judged policy takes each decision, cut at `MOST_WEIGHT`, (n,)."""
        return np.asarray(np.minimum(self.target / np.maximum(self.propensity, 1e-12), MOST_WEIGHT))


def ips(logged: Logged, alpha: float = 0.05) -> Estimate:
    """The mean weighted reward, with bounds that hold at any time and for any number of decisions."""
    values = logged.weights * logged.reward
    most = float(min(logged.weights.max(initial=1.0), MOST_WEIGHT))
    found = bounds(values, 0.0, max(most, 1.0), alpha)
    return Estimate(found.mean, found.low, found.high, found.n, effective(logged.weights))


def snips(logged: Logged, alpha: float = 0.05) -> Estimate:
    """The weighted mean of the rewards, with bounds of the normal approximation to a ratio."""
    weights, n = logged.weights, len(logged.reward)
    total = weights.sum()
    if n == 0 or total <= 0:
        return Estimate(float("nan"), 0.0, 1.0, n, 0.0)
    value = float((weights * logged.reward).sum() / total)
    error = float(np.sqrt(((weights * (logged.reward - value)) ** 2).sum()) / total)
    reach = _quantile(alpha) * error
    return Estimate(value, value - reach, value + reach, n, effective(weights))


def doubly_robust(logged: Logged, taken: np.ndarray, expected: np.ndarray, alpha: float = 0.05) -> Estimate:
    """What a model expects of the judged policy, corrected by what was seen.

    Args:
        logged: the decisions.
        taken: the reward that the model expects of the decision that was taken, (n,).
        expected: the reward that it expects of what the judged policy would do, (n,).
        alpha: the bounds are wrong with this probability.
    """
    values = expected + logged.weights * (logged.reward - taken)
    n = len(values)
    if n == 0:
        return Estimate(float("nan"), 0.0, 1.0, 0, 0.0)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
    reach = _quantile(alpha) * error
    return Estimate(float(values.mean()), values.mean() - reach, values.mean() + reach, n, effective(logged.weights))


def gain(champion: Logged, challenger: Logged, alpha: float = 0.05) -> Estimate:
    """How much more the challenger earns than the champion on the same decisions, with bounds that hold at any time."""
    values = (challenger.weights - champion.weights) * champion.reward
    found = bounds(values, -MOST_WEIGHT, MOST_WEIGHT, alpha)
    return Estimate(found.mean, found.low, found.high, found.n, effective(challenger.weights))


def effective(weights: np.ndarray) -> float:
    """How many decisions of equal weight tell as much."""
    square = float((weights**2).sum())
    return float(weights.sum() ** 2 / square) if square > 0 else 0.0


def appeal(item: np.ndarray, place: np.ndarray, acted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How good each item is, by its code, (items,), and how likely each place is looked at, by its code, (places,).

    What is acted on is looked at and good. Both are told apart where items stood in several places; the place that is
    looked at most has 1.

    Args:
        item: codes of items from 0, (n,).
        place: codes of places from 0, (n,).
        acted: whether somebody acted on the item there, (n,).

    Source: the quasi-likelihood equations of the position-based model (Richardson, Dominowska and Ragno, WWW 2007).
    """
    shape = int(item.max(initial=-1)) + 1, int(place.max(initial=-1)) + 1
    cell = item * shape[1] + place
    shown = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    clicks = np.bincount(cell, acted.astype(np.float64), shape[0] * shape[1]).reshape(shape)
    looks, good = np.ones(shape[1]), np.zeros(shape[0])
    for _ in range(_ROUNDS):
        good = clicks.sum(axis=1) / np.maximum(shown @ looks, 1e-12)
        looks = (clicks.sum(axis=0) + 1e-9) / np.maximum(good @ shown, 1e-12)
        looks = looks / max(looks.max(initial=0.0), 1e-12)
    return good, looks


def _quantile(alpha: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(1 - alpha / 2))
