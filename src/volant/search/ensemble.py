"""Greedy weighted ensembles."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

ROUNDS = 100
PATIENCE = 25
"""Rounds without a gain after which no more are tried."""
LEAST_WEIGHT = 0.03
LEAST_GAIN = 2e-4


def greedy_weights(
    predictions: Sequence[np.ndarray],
    loss: Callable[[np.ndarray], float],
    *,
    sizes: np.ndarray | None = None,
    room: np.ndarray | None = None,
    rounds: int = ROUNDS,
) -> list[float]:
    """Weights, one per array of predictions, found by adding the best member again and again.

    A member stays only with a weight of at least `LEAST_WEIGHT`; an ensemble that is not better than its best
    member by `LEAST_GAIN` (relative) is given up for it. Members whose `sizes` (n, d) do not fit into `room` (d,)
    together are not combined; where none fits alone, the smallest is taken. Of members with one array, which differ
    in their sizes alone, the first that fits is taken.

    Source: Caruana et al., Ensemble Selection from Libraries of Models (ICML 2004).
    """
    count = len(predictions)
    sizes = np.zeros((count, 1)) if sizes is None else np.asarray(sizes, dtype=np.float64)
    room = np.full(sizes.shape[1], np.inf) if room is None else room
    able = [i for i in range(count) if (sizes[i] <= room).all()] or [int(np.argmin((sizes / room).max(axis=1)))]
    losses = {i: loss(predictions[i]) for i in able}
    best = min(able, key=lambda i: losses[i])
    counts = np.zeros(count)
    total = np.zeros_like(predictions[best])
    low, kept, since = float("inf"), counts.copy(), 0
    for size in range(1, rounds + 1):
        used = sizes[counts > 0].sum(axis=0)
        fitting = [i for i in able if counts[i] or (used + sizes[i] <= room).all()] or [best]
        fitting = list({id(predictions[i]): i for i in reversed(fitting)}.values())[::-1]
        tried = {i: loss((total + predictions[i]) / size) for i in fitting} if size > 1 else losses
        chosen = min(tried, key=lambda i: tried[i])
        counts[chosen] += 1
        total = total + predictions[chosen]
        since += 1
        if tried[chosen] < low - 1e-12:
            low, kept, since = tried[chosen], counts.copy(), 0
        if since >= PATIENCE:
            break
    weights = np.where(kept / kept.sum() >= LEAST_WEIGHT, kept, 0.0)
    weights = weights / weights.sum()
    together = loss(np.sum([w * p for w, p in zip(weights, predictions, strict=True)], axis=0))
    gained = losses[best] - together > LEAST_GAIN * max(abs(losses[best]), 1e-12)
    return [float(w) for w in weights] if gained else [float(i == best) for i in range(count)]
