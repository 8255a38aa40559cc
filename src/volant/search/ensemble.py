"""Greedy weighted ensembles, and the temperature that calibrates them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

ROUNDS = 25
LEAST_WEIGHT = 0.08
LEAST_GAIN = 1e-3


def greedy_weights(predictions: Sequence[np.ndarray], loss: Callable[[np.ndarray], float]) -> list[float]:
    """Weights, one per array of predictions, found by adding the best member again and again.

    A member stays only with a weight of at least `LEAST_WEIGHT`; an ensemble that is not better than its best
    member by `LEAST_GAIN` (relative) is given up for it.

    Source: Caruana et al., Ensemble Selection from Libraries of Models (ICML 2004).
    """
    losses = [loss(p) for p in predictions]
    best = int(np.argmin(losses))
    single = [float(i == best) for i in range(len(predictions))]
    counts = np.zeros(len(predictions))
    total = np.zeros_like(predictions[best])
    low, kept = float("inf"), counts.copy()
    for size in range(1, ROUNDS + 1):
        tried = [loss((total + p) / size) for p in predictions]
        chosen = int(np.argmin(tried))
        counts[chosen] += 1
        total = total + predictions[chosen]
        if tried[chosen] < low - 1e-12:
            low, kept = tried[chosen], counts.copy()
    weights = np.where(kept / kept.sum() >= LEAST_WEIGHT, kept, 0.0)
    weights = weights / weights.sum()
    together = loss(np.sum([w * p for w, p in zip(weights, predictions, strict=True)], axis=0))
    gained = losses[best] - together > LEAST_GAIN * max(abs(losses[best]), 1e-12)
    return [float(w) for w in weights] if gained else single


def best_temperature(probability: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """The temperature, in [0.25, 4], that gives the least log-loss.

    Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
    """
    from scipy.optimize import minimize_scalar

    logs = np.log(np.clip(probability, 1e-15, 1.0))
    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        picked = scaled[rows, truth] - np.log(np.exp(scaled).sum(axis=1))
        return float(-np.average(picked, weights=weights))

    found = minimize_scalar(loss, bounds=(np.log(0.25), np.log(4.0)), method="bounded")
    return round(float(np.exp(found.x)), 4) if loss(found.x) < loss(0.0) - 1e-5 else 1.0
