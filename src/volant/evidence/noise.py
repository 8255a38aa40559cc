"""Which new labels are probably wrong, by confident learning. They are held for review, never dropped."""

from __future__ import annotations

import numpy as np

from volant.bind.cleanlab import suspicious_labels


def probable_noise(labels: np.ndarray, probabilities: np.ndarray, *, fresh: np.ndarray) -> np.ndarray:
    """Positions of the fresh labels that are probably wrong, the most suspicious first.

    All labels together show how classes are confused; only fresh ones are doubted, since the others have
    been checked before training.

    Args:
        labels: class indices, shape (n,).
        probabilities: of each class, shape (n, C), from models that have not seen the row (out of fold).
        fresh: whether a label comes from new evidence, shape (n,).
    """
    present, compact = np.unique(labels, return_inverse=True)
    if len(present) < 2 or not fresh.any():
        return np.empty(0, dtype=np.int64)
    known = probabilities[:, present]
    total = known.sum(axis=1, keepdims=True)
    known = np.where(total > 0, known / np.where(total > 0, total, 1.0), 1.0 / len(present))
    found = suspicious_labels(compact, known)
    return np.asarray(found[fresh[found]], dtype=np.int64)
