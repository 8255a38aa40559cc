"""ROC and precision-recall curves, thinned to what a plot can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.tasks.ranking import average_precision, groups, roc_area

MOST_POINTS = 120
MOST_CLASSES = 8


def curves(units: Batch, classes: Sequence[str]) -> list[dict[str, Any]]:
    """One record per class that is shown: the positive one of two, else the commonest, each against the rest."""
    y, p = units["y"], units["p"]
    counts = np.bincount(y, minlength=len(classes))
    chosen = [1] if len(classes) == 2 else np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    weight = units.get("weight", np.ones(len(y)))
    shown = [int(c) for c in chosen if 0 < counts[c] < len(y)]
    return [{"class": classes[c], **_of(p[:, c], y == c, weight)} for c in shown]


def _of(scores: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
    order, starts = groups(-scores)
    ends = np.append(starts[1:], len(scores)) - 1
    hits = np.cumsum((weight * positive)[order])[ends]
    misses = np.cumsum((weight * ~positive)[order])[ends]
    recall, alarms = np.append(0.0, hits / hits[-1]), np.append(0.0, misses / misses[-1])
    precision = np.append(1.0, hits / (hits + misses))
    return {
        "roc": _thin(alarms, recall),
        "pr": _thin(recall, precision),
        "roc_auc": float(roc_area(scores, positive)(weight[None, :])[0]),
        "pr_auc": float(average_precision(scores, positive)(weight[None, :])[0]),
        "share": float(hits[-1] / (hits[-1] + misses[-1])),
    }


def _thin(x: np.ndarray, y: np.ndarray) -> list[list[float]]:
    """Points evenly spread along the curve, both ends kept."""
    length = np.cumsum(np.append(0.0, np.abs(np.diff(x)) + np.abs(np.diff(y))))
    wanted = np.searchsorted(length, np.linspace(0.0, length[-1], MOST_POINTS))
    kept = np.unique(np.concatenate([[0], np.minimum(wanted, len(x) - 1), [len(x) - 1]]))
    return [[round(float(a), 5), round(float(b), 5)] for a, b in zip(x[kept], y[kept], strict=True)]
