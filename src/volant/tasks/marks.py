"""From the probability of each label to the labels that are answered: a threshold per label.

It is chosen on training rows that were held out, never on rows that judge or test.
"""

from __future__ import annotations

import numpy as np

LEAST_CARRIERS = 10
"""Rows on either side below which a label keeps the usual threshold: fewer would choose by chance."""
USUAL = 0.5
STEPS = np.arange(1, 40) / 40
DRAWS = 30
"""Resamples that a threshold is chosen on; it is the middle one of those that are best on each."""


def thresholds(p: np.ndarray, y: np.ndarray, weights: np.ndarray, seed: int = 0) -> tuple[float, ...]:
    """For each label the threshold that is best for its F1, half where too few rows carry it or do not.

    Args:
        p: the probability of each label for rows that were held out, (n, L).
        y: 1, 0, or -1 where nobody has said, (n, L).
        weights: of the rows, (n,).
        seed: of the resamples.
    """
    return tuple(_threshold(p[:, place], y[:, place], weights, seed) for place in range(p.shape[1]))


def _threshold(p: np.ndarray, y: np.ndarray, weights: np.ndarray, seed: int) -> float:
    known = np.flatnonzero(y >= 0)
    p, true, weights = p[known], y[known] == 1, weights[known]
    if min(int(true.sum()), int((~true).sum())) < LEAST_CARRIERS:
        return USUAL
    drawn = np.random.default_rng(seed).poisson(1.0, (DRAWS, len(known))) * weights
    marked = (p[:, None] >= STEPS).astype(np.float64)  # (n, steps)
    both, all_marked, all_true = drawn @ (marked * true[:, None]), drawn @ marked, (drawn @ true)[:, None]
    f1 = 2 * both / np.maximum(all_marked + all_true, 1e-12)
    return float(np.median(STEPS[f1.argmax(axis=1)]))
