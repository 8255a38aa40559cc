"""Whether intervals keep their promise: on all rows, along the prediction, by their width, and per slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from volant.core.protocols import Rows
from volant.core.records import Batch
from volant.evaluate.calibration import wilson
from volant.evaluate.sampling import seed_of
from volant.evaluate.slices import declared_slices
from volant.tasks.metrics import take
from volant.tasks.regress_metrics import covered, interval_loss

GROUPS = 10
LEAST_ROWS = 30
MOST_POINTS = 100
SLICE_ROWS = 5
"""Values of fewer rows are shown together: a rare value could tell who somebody is."""


def intervals_view(units: Batch, rows: Rows, slices: Sequence[str], seed: int = 0) -> Mapping[str, Any]:
    """What there is to tell of units with intervals: plain data, shares with 95 % intervals."""
    within = covered(units)
    return {
        "promised": float(units["promised"][0]),
        **_summary(units, within),
        "along": [_group(units, within, part) for part in _parts(units["f"])],
        "by_width": [_group(units, within, part) for part in _parts(units["high"] - units["low"])],
        "points": _points(units, seed),
        "slices": _slices(units, within, rows, slices),
    }


def _summary(units: Batch, within: np.ndarray) -> dict[str, Any]:
    weights = units.get("weight", np.ones(len(within)))
    width = units["high"] - units["low"]
    return {
        "coverage": float(np.average(within, weights=weights)),
        "below": float(np.average(units["y"] < units["low"], weights=weights)),
        "above": float(np.average(units["y"] > units["high"], weights=weights)),
        "mean_width": float(np.average(width, weights=weights)),
        "median_width": float(np.median(width)),
        "score": float(np.average(interval_loss(units), weights=weights)),
    }


def _parts(values: np.ndarray) -> list[np.ndarray]:
    """Positions in groups of equal size, in the order of `values`; one group where all are the same."""
    if values.min() == values.max():
        return [np.arange(len(values))]
    groups = int(np.clip(len(values) // LEAST_ROWS, 1, GROUPS))
    return np.array_split(np.argsort(values, kind="stable"), groups)


def _group(units: Batch, within: np.ndarray, part: np.ndarray) -> dict[str, float]:
    one = take(units, part)
    low, high = wilson(float(within[part].sum()), len(part))
    return {
        "predicted": float(one["f"].mean()),
        "low": float(one["low"].mean()),
        "high": float(one["high"].mean()),
        "width": float((one["high"] - one["low"]).mean()),
        "covered": float(within[part].mean()),
        "covered_low": low,
        "covered_high": high,
        "n": len(part),
    }


def _points(units: Batch, seed: int) -> list[list[float]]:
    """Some rows as (prediction, low, high, truth), in the order of the prediction."""
    count = len(units["y"])
    rng = np.random.default_rng(seed_of(seed, "intervals"))
    chosen = rng.choice(count, min(count, MOST_POINTS), replace=False)
    chosen = chosen[np.argsort(units["f"][chosen], kind="stable")]
    return [[float(units[name][i]) for name in ("f", "low", "high", "y")] for i in chosen]


def _slices(units: Batch, within: np.ndarray, rows: Rows, columns: Sequence[str]) -> list[dict[str, Any]]:
    found = declared_slices(rows, columns, least=SLICE_ROWS)
    return [{"name": name, **_group(units, within, np.flatnonzero(mask))} for name, mask in found.items()]
