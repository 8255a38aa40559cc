"""cleanlab: which labels are probably wrong, by confident learning."""

from __future__ import annotations

import warnings

import numpy as np


def suspicious_labels(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Positions of the labels that are probably wrong, the most suspicious first.

    Args:
        labels: class indices, shape (n,); each class must occur.
        probabilities: out-of-fold probabilities, shape (n, K).

    Source: Northcutt, Jiang and Chuang, Confident learning, 2021.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cleanlab.filter import find_label_issues

        found = find_label_issues(
            labels.astype(np.int64),
            probabilities,
            return_indices_ranked_by="self_confidence",
            filter_by="prune_by_noise_rate",
            n_jobs=1,
        )
    return np.asarray(found, dtype=np.int64)
