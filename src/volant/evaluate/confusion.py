"""What is mistaken for what, and how each class fares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.evaluate.calibration import wilson
from volant.tasks.ranking import roc_area

MOST_CLASSES = 30
MOST_PAIRS = 30


def confusion(units: Batch, classes: Sequence[str]) -> dict[str, Any]:
    """Counts, rows by truth and columns by answer, or for many classes the commonest mistakes only."""
    y, guess, size = units["y"], units["p"].argmax(axis=1), len(classes)
    counts = np.bincount(y * size + guess, minlength=size * size).reshape(size, size)
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [(int(place) // size, int(place) % size) for place in order]
    mistakes = [
        {"truth": classes[a], "answer": classes[b], "n": int(wrong[a, b]), "share": _share(wrong[a, b], counts[a])}
        for a, b in pairs
        if wrong[a, b]
    ]
    shown = size <= MOST_CLASSES
    return {"classes": list(classes) if shown else [], "counts": counts.tolist() if shown else [], "mistakes": mistakes}


def _share(part: int, whole: np.ndarray) -> float:
    return float(part / max(whole.sum(), 1))


def per_class(units: Batch, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Rows, precision, recall (with 95 % intervals), F1 and ROC AUC of each class."""
    y, p = units["y"], units["p"]
    guess = p.argmax(axis=1)
    true, guessed = (np.bincount(index, minlength=len(classes)) for index in (y, guess))
    hit = np.bincount(y[guess == y], minlength=len(classes))
    found = []
    for c, name in enumerate(classes):
        found.append(
            {
                "class": name,
                "n": int(true[c]),
                "answered": int(guessed[c]),
                "precision": _rate(hit[c], guessed[c]),
                "recall": _rate(hit[c], true[c]),
                "f1": float(2 * hit[c] / (true[c] + guessed[c])) if true[c] + guessed[c] else None,
                "roc_auc": float(roc_area(p[:, c], y == c)(np.ones((1, len(y))))[0]) if 0 < true[c] < len(y) else None,
            }
        )
    return found


def _rate(hits: int, n: int) -> dict[str, float] | None:
    if not n:
        return None
    low, high = wilson(float(hits), int(n))
    return {"value": float(hits / n), "low": low, "high": high}


def hardest(units: Batch, classes: Sequence[str], numbers: np.ndarray, most: int = 10) -> list[dict[str, Any]]:
    """The rows whose truth surprised the model most: errors of the model, or of the label."""
    y, p = units["y"], units["p"]
    given = p[np.arange(len(y)), y]
    wrong = np.flatnonzero(p.argmax(axis=1) != y)
    order = wrong[np.argsort(given[wrong], kind="stable")[:most]]
    return [
        {
            "row": int(numbers[i]),
            "truth": classes[y[i]],
            "answer": classes[int(p[i].argmax())],
            "probability": float(p[i].max()),
            "given": float(given[i]),
        }
        for i in order
    ]
