"""How far predicted numbers are from the truth, and where."""

from __future__ import annotations

from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.evaluate.sampling import seed_of

MOST_POINTS = 600
BINS = 40
GROUPS = 10
TAIL = 0.005


def residuals(units: Batch, numbers: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Points of truth against prediction, the spread of errors along the prediction, their histogram, the worst."""
    y, f = units["y"], units["f"]
    errors = y - f
    rng = np.random.default_rng(seed_of(seed, "residuals"))
    chosen = np.sort(rng.choice(len(y), min(len(y), MOST_POINTS), replace=False))
    low, high = (float(q) for q in np.quantile(errors, [TAIL, 1 - TAIL]))
    counts, edges = np.histogram(np.clip(errors, low, high), bins=BINS, range=_wide_enough(low, high))
    worst = np.argsort(-np.abs(errors), kind="stable")[:10]
    return {
        "points": [[float(y[i]), float(f[i])] for i in chosen],
        "along": _along(f, errors),
        "histogram": {"counts": counts.tolist(), "edges": edges.tolist()},
        "hardest": [{"row": int(numbers[i]), "truth": float(y[i]), "answer": float(f[i])} for i in worst],
    }


def _wide_enough(low: float, high: float) -> tuple[float, float]:
    """A range that floating point can part into bins, also where all errors are the same large number."""
    least = 1e-9 * max(abs(low), abs(high)) or 1.0
    return (low, high) if high - low >= least else ((low + high - least) / 2, (low + high + least) / 2)


def _along(f: np.ndarray, errors: np.ndarray) -> list[dict[str, float]]:
    """Quantiles of the error in groups of equal size by prediction."""
    order = np.argsort(f, kind="stable")
    parts = np.array_split(order, max(1, min(GROUPS, len(f) // 20)))
    found = []
    for part in parts:
        low, middle, high = (float(q) for q in np.quantile(errors[part], [0.1, 0.5, 0.9]))
        found.append({"predicted": float(f[part].mean()), "low": low, "middle": middle, "high": high, "n": len(part)})
    return found
