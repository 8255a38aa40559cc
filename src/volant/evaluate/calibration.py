"""Calibration: whether what is said to have probability 0.8 comes true eight times in ten."""

from __future__ import annotations

from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.tasks.classify_metrics import confidence

MOST_BINS = 12
LEAST_ROWS = 20
WILSON = 1.96


def reliability(units: Batch) -> list[dict[str, float]]:
    """Bins of equal size by stated probability: what was said, what came, with a 95 % interval, and how many.

    For two classes the probability is that of the positive class, for more that of the likeliest.
    """
    said, came = confidence(units)
    order = np.argsort(said, kind="stable")
    bins = int(np.clip(len(said) // LEAST_ROWS, 1, MOST_BINS))
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [_bin(said[part], came[part]) for part in parts]


def _bin(said: np.ndarray, came: np.ndarray) -> dict[str, float]:
    low, high = wilson(float(came.sum()), len(came))
    return {"said": float(said.mean()), "came": float(came.mean()), "low": low, "high": high, "n": len(said)}


def wilson(hits: float, n: int) -> tuple[float, float]:
    """A 95 % interval for a share. Source: Wilson, Probable Inference, 1927."""
    share, square = hits / n, WILSON**2
    centre, spread = share + square / (2 * n), WILSON * np.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return float((centre - spread) / (1 + square / n)), float((centre + spread) / (1 + square / n))


def histogram(units: Batch, bins: int = 20) -> dict[str, Any]:
    """How many rows got which probability."""
    said, _ = confidence(units)
    counts, edges = np.histogram(said, bins=bins, range=(0.0, 1.0))
    return {"counts": counts.tolist(), "edges": edges.tolist()}
