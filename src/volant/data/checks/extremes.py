"""Numbers that stand apart from all others, told from mere heavy tails by the gap before them."""

from __future__ import annotations

import numpy as np

LEAST = 50
GAP = 1.5
WIDTH = 0.8
MOST = 0.002
"""Share of the rows that may stand apart; more of them are a second population."""

CODES = frozenset({0, -1, -9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999, 9999999, 99999999, 999999999})
"""Numbers by which people say "missing"."""


def apart(values: np.ndarray) -> np.ndarray:
    """Which values stand apart, shape (n,), bool.

    Deviations from the median are compared on a logarithmic scale, where even heavy tails have no gaps: a
    value stands apart when the gap before it is far wider than what lies between usual and large deviations.
    """
    found = np.zeros(len(values), dtype=bool)
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite) < LEAST:
        return found
    deviations = np.abs(values[finite] - np.median(values[finite]))
    moved = deviations > 0
    if moved.sum() < LEAST:
        return found
    cut = _cut(np.log(deviations[moved]))
    found[finite[moved]] = np.log(deviations[moved]) > cut
    return found


def _cut(logs: np.ndarray) -> float:
    """The logarithm above which deviations stand apart; infinite where none do."""
    most = max(5, int(MOST * len(logs)))
    tail = np.sort(np.partition(logs, len(logs) - most - 1)[-most - 1 :])
    gaps = np.diff(tail)
    place = int(gaps.argmax())
    below = float(tail[place])
    wide = max(GAP, WIDTH * (below - float(np.median(logs))))
    return below + gaps[place] / 2 if gaps[place] > wide else np.inf


def placeholder(values: np.ndarray) -> float | None:
    """A repeated lowest or highest value that stands apart and is a usual code for "missing", or None."""
    finite = values[np.isfinite(values)]
    if len(finite) < LEAST:
        return None
    for code in {float(finite.min()), float(finite.max())} & CODES:
        mine = finite == code
        others = finite[~mine]
        if not 5 <= mine.sum() <= 0.3 * len(finite) or len(np.unique(others[:1000])) < 10:
            continue
        low, high = np.quantile(others, [0.01, 0.99])
        gap = min(abs(code - others.min()), abs(code - others.max()))
        if gap > 1.0 * (high - low):
            return code
    return None
