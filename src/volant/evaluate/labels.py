"""How well each of several labels is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.evaluate.confusion import rate
from volant.tasks.metrics import ready
from volant.tasks.tag_metrics import METRICS, said, surprises


def per_label(units: Batch, labels: Sequence[str]) -> list[dict[str, Any]]:
    """One entry per label: rows that it is known of, how many carry it and are given it, and its metrics."""
    return [_label(units, place, name) for place, name in enumerate(labels)]


def _label(units: Batch, place: int, name: str) -> dict[str, Any]:
    rows = np.flatnonzero(said(units)[:, place])
    one = {key: units[key][rows][:, [place]] for key in ("y", "p", "a")}
    true, given = one["y"] == 1, one["a"] == 1
    both = int((true & given).sum())
    return {
        "label": name,
        "rows": len(rows),
        "carried": int(true.sum()),
        "given": int(given.sum()),
        "precision": rate(both, int(given.sum())),
        "recall": rate(both, int(true.sum())),
        "average_precision": _value("average_precision", one) if true.any() else None,
        "log_loss": float(surprises(one).mean()) if len(rows) else None,
    }


def _value(metric: str, units: Batch) -> float:
    return float(ready(METRICS[metric], units)(np.ones((1, len(units["y"]))))[0])
