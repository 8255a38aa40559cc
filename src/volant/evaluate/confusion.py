"""What is mistaken for what, and how each class fares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from volant.core.records import Batch
from volant.evaluate.calibration import wilson
from volant.tasks.classify_metrics import answered
from volant.tasks.ranking import roc_area

MOST_CLASSES = 30
MOST_PAIRS = 30


def confusion(units: Batch, classes: Sequence[str]) -> dict[str, Any]:
    """Counts, rows by truth and columns by answer, or for many classes the commonest mistakes only."""
    size = len(classes)
    y, guess = _sound(units)
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


def _sound(units: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Truth and answer of the rows whose answer is one of the classes."""
    guess = answered(units)
    keep = guess >= 0
    return units["y"][keep], guess[keep]


def _share(part: int, whole: np.ndarray) -> float:
    return float(part / max(whole.sum(), 1))


def per_class(units: Batch, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Rows, precision, recall (with 95 % intervals), F1 and ROC AUC of each class."""
    y, p = units["y"], units["p"]
    sound, guess = _sound(units)
    true, guessed = (np.bincount(index, minlength=len(classes)) for index in (y, guess))
    hit = np.bincount(sound[guess == sound], minlength=len(classes))
    found = []
    for c, name in enumerate(classes):
        found.append(
            {
                "class": name,
                "n": int(true[c]),
                "answered": int(guessed[c]),
                "precision": rate(hit[c], guessed[c]),
                "recall": rate(hit[c], true[c]),
                "f1": float(2 * hit[c] / (true[c] + guessed[c])) if true[c] + guessed[c] else None,
                "roc_auc": float(roc_area(p[:, c], y == c)(np.ones((1, len(y))))[0]) if 0 < true[c] < len(y) else None,
            }
        )
    return found


def rate(hits: int, n: int) -> dict[str, float] | None:
    """A share with its 95 % interval, None where there is nothing that it is of."""
    if not n:
        return None
    low, high = wilson(float(hits), int(n))
    return {"value": float(hits / n), "low": low, "high": high}


def hardest(units: Batch, classes: Sequence[str], numbers: np.ndarray, most: int = 10) -> list[dict[str, Any]]:
    """The rows whose truth surprised the model most: errors of the model, or of the label."""
    y, p = units["y"], units["p"]
    given = p[np.arange(len(y)), y]
    guess = answered(units)
    wrong = np.flatnonzero((guess != y) & (guess >= 0))
    order = wrong[np.argsort(given[wrong], kind="stable")[:most]]
    return [
        {
            "row": int(numbers[i]),
            "truth": classes[y[i]],
            "answer": classes[guess[i]],
            "probability": float(p[i, guess[i]]),
            "given": float(given[i]),
        }
        for i in order
    ]
