"""Calibration of class probabilities, chosen on out-of-fold predictions: a temperature, or one curve per class."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from volant.core.records import Step
from volant.runtime.steps import compile_step

LEAST_GAIN = 2e-3
"""Relative gain in log-loss, on rows that the calibration was not fitted on, from which it is worth a step."""
LEAST_ROWS = 1_000
"""Rows below which curves are not tried: they would follow the noise."""
LEAST_CARRIERS = 10
"""Rows with a label, and rows without it, below which its probabilities stay as they are."""
MOST_KNOTS = 64
MOST_CURVES = 10


@dataclass(frozen=True)
class Calibration:
    """A step of the runtime that makes probabilities (n, C) honest; `op` is empty where they are already."""

    op: str = ""
    params: dict[str, Any] = field(default_factory=dict)

    def apply(self, probability: np.ndarray) -> np.ndarray:
        return probability if not self.op else compile_step(self.op, self.params, None, 1)(probability)

    def step(self, source: str, output: str) -> Step | None:
        """The step that takes the value `source`, or None where there is nothing to do."""
        return None if not self.op else Step(self.op, (source,), output, self.params)


def calibrate(probability: np.ndarray, truth: np.ndarray, weights: np.ndarray, seed: int = 0) -> Calibration:
    """The calibration with the least log-loss in two-fold cross-validation, fitted on all rows.

    `probability` (n, C), `truth` (n,) class indices. None is the answer unless another is better by `LEAST_GAIN`.
    However that is, nothing becomes surer than so many rows can show: half a row among those of each class.
    """
    made, least = _best(probability, truth, weights, seed), 0.5 / (len(truth) + 1) / probability.shape[1]
    if made.op == "temperature" or (not made.op and bool((probability < 2 * least).any())):
        return Calibration("temperature", {"value": 1.0, **made.params, "least": float(f"{least:.3g}")})
    return made


def calibrate_labels(probability: np.ndarray, truth: np.ndarray, weights: np.ndarray, seed: int = 0) -> Calibration:
    """A temperature per label, 1 where none is better, fitted on the rows that somebody has said the label of.

    `probability` and `truth` are (n, L), -1 where nobody has said. Nothing becomes surer than so many rows can show.
    """
    values = []
    for p, y in zip(probability.T, truth.T, strict=True):
        known = np.flatnonzero(y >= 0)
        pair = np.stack([1.0 - p[known], p[known]], axis=1)
        few = min(int((y == 1).sum()), int((y == 0).sum())) < LEAST_CARRIERS
        made = Calibration() if few else _best(pair, y[known], weights[known], seed, curves=False)
        values.append(float(made.params.get("value", 1.0)))
    return Calibration("temperatures", {"values": values, "least": float(f"{0.5 / (len(truth) + 1):.3g}")})


def _best(
    probability: np.ndarray, truth: np.ndarray, weights: np.ndarray, seed: int, *, curves: bool = True
) -> Calibration:
    fits = {"temperature": _temperature, "isotonic": _isotonic}
    if not curves or len(truth) < LEAST_ROWS or probability.shape[1] > MOST_CURVES:
        del fits["isotonic"]
    half = np.random.default_rng(seed).permutation(len(truth)) % 2
    plain = _log_loss(probability, truth, weights)
    best, least = Calibration(), plain * (1 - LEAST_GAIN)
    for fit in fits.values():
        losses = []
        for side in (0, 1):
            given, other = half != side, half == side
            if not weights[given].sum() > 0 or not weights[other].sum() > 0:
                return Calibration()
            made = fit(probability[given], truth[given], weights[given])
            losses.append(_log_loss(made.apply(probability[other]), truth[other], weights[other]))
        if float(np.mean(losses)) < least:
            best, least = fit(probability, truth, weights), float(np.mean(losses))
    return best


def _log_loss(probability: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    picked = np.clip(probability[np.arange(len(truth)), truth], 1e-15, 1.0)
    return float(-np.average(np.log(picked), weights=weights)) if weights.sum() > 0 else 0.0


def _temperature(probability: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> Calibration:
    return Calibration("temperature", {"value": best_temperature(probability, truth, weights)})


def best_temperature(probability: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> float:
    """The temperature, in [0.5, 4] or from few rows in [1, 4], that gives the least log-loss.

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

    sharpest = 0.5 if len(truth) >= LEAST_ROWS else 1.0  # few rows are no reason to become surer
    found = minimize_scalar(loss, bounds=(np.log(sharpest), np.log(4.0)), method="bounded")
    return round(float(np.exp(found.x)), 4)


def _isotonic(probability: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> Calibration:
    """One rising curve per class (the second of two alone), through at most `MOST_KNOTS` points.

    Source: Zadrozny and Elkan, Transforming Classifier Scores into Accurate Multiclass Probability Estimates (2002).
    """
    places = [1] if probability.shape[1] == 2 else range(probability.shape[1])
    return Calibration("curves", {"curves": [_curve(probability[:, c], truth == c, weights) for c in places]})


def _curve(score: np.ndarray, hit: np.ndarray, weights: np.ndarray) -> list[list[float]]:
    """The points [x, …], [y, …] of a rising curve from scores to frequencies, never quite 0 or 1."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(score, hit.astype(float), sample_weight=weights)
    x, y = fitted.X_thresholds_, fitted.y_thresholds_
    if len(x) > MOST_KNOTS:
        kept = np.unique(np.linspace(0, len(x) - 1, MOST_KNOTS).astype(int))
        x, y = x[kept], y[kept]
    edge = 0.5 / (len(score) + 1)
    return [np.round(x, 9).tolist(), np.clip(np.round(y, 9), edge, 1 - edge).tolist()]
