"""Negatives that may be positives which nobody has seen: answers that are still to come, items too far down a list.

What looks like a no is one only if somebody looked. If γ is the probability of a yes and o that a yes would have shown
by now, a no that shows is a hidden yes with probability γ(1 − o) / (1 − γo). Such a row counts as a yes by that much
and as a no by the rest, which keeps rates calibrated.

Source: Chapelle, Modeling delayed feedback in display advertising, KDD 2014, with an empirical distribution of delays;
Richardson, Dominowska and Ragno, WWW 2007, for positions.
"""

from __future__ import annotations

import numpy as np

ROUNDS = 200
BINS = 20


def hidden(likely: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """How probable it is that what looks like a no is a hidden yes, (n,).

    >>> hidden(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    array([0. , 0.5])

    Args:
        likely: probability of a yes, (n,).
        shown: probability that a yes would have shown, (n,).
    """
    return np.asarray(likely * (1 - shown) / np.maximum(1 - likely * shown, 1e-12))


def arrived(delays: np.ndarray, elapsed: np.ndarray, ages: np.ndarray) -> np.ndarray:
    """The share of all answers, of those that come at all, that have come at each of `ages`, (m,).

    Answers that were to come later than a prediction is old cannot be among those seen, so young predictions show the
    short delays only; the product-limit estimate for truncated observations takes that out.

    Args:
        delays: how long each answer that was seen took, (k,).
        elapsed: how long one has waited for each of them, (k,), at least its delay.
        ages: where the share is asked for, (m,).

    Source: Lynden-Bell, Monthly Notices of the Royal Astronomical Society 155, 1971.
    """
    if not len(delays):
        return np.zeros(len(ages))
    moments, counts = np.unique(delays, return_counts=True)
    at_risk = np.searchsorted(np.sort(delays), moments, side="right")
    at_risk = at_risk - np.searchsorted(np.sort(elapsed), moments, side="left")
    later = np.log1p(-np.minimum(counts / np.maximum(at_risk, 1), 1 - 1e-9))
    after = np.concatenate([np.cumsum(later[::-1])[::-1], [0.0]])  # of moments from this one on
    return np.asarray(np.exp(after[np.searchsorted(moments, ages, side="right")]))


def looked_at(likely: np.ndarray, place: np.ndarray, acted: np.ndarray) -> np.ndarray:
    """How likely somebody looked at each row, (n,), by its place in a list: 1 at the place most looked at.

    Rows that are about equally likely to be good stand in different places; what they are acted on more in one place
    than in another is what that place does.

    Args:
        likely: probability of a yes by the reference, (n,), which need only be in the right order.
        place: the place of each row, (n,).
        acted: whether somebody acted on it, (n,).

    Source: Agarwal, Zaitsev, Wang, Li, Najork and Joachims, WSDM 2019, with rows of like scores for equal items.
    """
    cuts = np.unique(np.quantile(likely, np.arange(1, BINS) / BINS)) if len(likely) else np.empty(0)
    alike = np.searchsorted(cuts, likely)
    places, where = np.unique(place, return_inverse=True)
    shape = len(cuts) + 1, len(places)
    cell = alike * shape[1] + where
    shown = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    clicks = np.bincount(cell, acted.astype(np.float64), shape[0] * shape[1]).reshape(shape)
    looks = np.ones(shape[1])
    for _ in range(ROUNDS):
        appeal = clicks.sum(axis=1) / np.maximum(shown @ looks, 1e-12)
        looks = (clicks.sum(axis=0) + 1e-9) / np.maximum(appeal @ shown, 1e-12)
        looks = looks / max(looks.max(), 1e-12)
    return np.asarray(np.clip(looks, 0.01, 1.0)[where])
