"""How far an interval must reach to hold a promised share of the truths of new rows."""

from __future__ import annotations

import numpy as np

from volant.errors import BadInput


def reach(scores: np.ndarray, weights: np.ndarray, keys: np.ndarray, level: float) -> float:
    """The smallest score that a share `level` of the rows do not exceed, counting a new key that exceeds them all.

    `scores` (n,) tell by how much each held-out row exceeds its interval. Rows of one key stand and fall together,
    so that the new key weighs as much as the known ones on average; with one row per key and equal weights
    this is the usual ⌈(n + 1) · level⌉-th smallest score.
    Sources: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, section 2.3; for keys
    Lee, Barber and Willett, Distribution-free Inference with Hierarchical Data, 2023, section 3; for weights
    Tibshirani et al., Conformal Prediction Under Covariate Shift, 2019.

    Raises:
        BadInput: code `target-unfit`, where there are too few keys to promise so much.
    """
    count = len(np.unique(keys.astype(str)))
    total = float(weights.sum()) * (1 + 1 / max(count, 1))
    order = np.argsort(scores, kind="stable")
    held = np.cumsum(weights[order])
    place = int(np.searchsorted(held, level * total * (1 - 1e-12)))
    if place >= len(scores):
        raise too_few(count, level)
    return float(scores[order[place]])


def least_keys(level: float) -> int:
    """How many rows or subjects it takes to say what a share `level` of new ones will not exceed.

    >>> least_keys(0.95), least_keys(0.995)
    (19, 199)
    """
    return int(np.ceil(level / (1 - level) * (1 - 1e-9)))


def too_few(count: int, level: float) -> BadInput:
    """The error for rows that cannot carry a promise."""
    needed = least_keys(level)
    return BadInput(
        "there are too few rows to promise such an interval",
        code="target-unfit",
        where="volant.toml, task.interval",
        got=f"{count} rows or subjects to learn from",
        fix=f"it takes {needed} that training can hold out: bring more rows, give it more budget, or promise less",
    )
