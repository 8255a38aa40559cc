"""Weak slices: groups of rows, of one or two conditions, that the model serves significantly worse.

All conditions and all pairs of them are tried at once by three matrix products. A slice is shown if its
mean loss exceeds that of the other rows beyond chance, however many slices were tried (Bonferroni), if a
pair is worse than each of its halves, and if it is not much the same rows as a slice that is worse still.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from volant.columns.looks import looks_of
from volant.core.protocols import Rows
from volant.evaluate.sampling import seed_of
from volant.evaluate.slices import LEAST_ROWS, parts, values_of

MOST = 10
MOST_ROWS = 50_000
MOST_LOOKED_AT = 10_000
"""Rows up to which pictures are looked at for their brightness and size."""

MOST_CONDITIONS = 160
VALUES = 12
"""Values of one column that are tried, the commonest."""

LEVEL = 0.05
LEAST_EXCESS = 0.1
"""How much more than the mean loss of all rows a slice must lose, as a share of it, to be worth a look."""

SAME = 0.5
"""Overlap (rows of both over rows of either) beyond which two slices are the same."""

_TYPES = ("number", "category", "boolean", "timestamp")


@dataclass(frozen=True)
class Weak:
    """A group of rows, by position, on which the mean loss is `loss`, where it is `rest` on the other rows."""

    name: str
    rows: np.ndarray
    loss: float
    rest: float


def weak_slices(rows: Rows, losses: np.ndarray, *, columns: Sequence[str], seed: int = 0) -> list[Weak]:
    """At most ten slices, worst first. `losses` is (n,), higher is worse; NaN rows are left out."""
    usable = np.flatnonzero(np.isfinite(losses))
    if len(usable) > MOST_ROWS:
        chosen = np.random.default_rng(seed_of(seed, "weak")).choice(len(usable), MOST_ROWS, replace=False)
        usable = usable[np.sort(chosen)]
    if len(usable) < 2 * LEAST_ROWS:
        return []
    losses = losses[usable]
    names, sources, members = _conditions(rows.take(usable), columns)
    if not names or losses.min() == losses.max():
        return []
    found = _significant(names, sources, members, losses)
    return [Weak(w.name, usable[w.rows], w.loss, w.rest) for w in _distinct(found)]


def _conditions(rows: Rows, columns: Sequence[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, columns and members (n, k) of single conditions that hold for enough rows and not for nearly all."""
    kinds = {c.name: c.type for c in rows.schema.columns}
    names: list[str] = []
    sources: list[int] = []
    masks: list[np.ndarray] = []
    told = [(c, values_of(rows, c)) for c in columns if kinds.get(c) in _TYPES]
    told += [pair for c in columns if kinds.get(c) == "image" for pair in _of_pictures(rows, c)]
    for i, (column, values) in enumerate(told):
        for name, mask in parts(column, values, VALUES):
            if LEAST_ROWS <= int(mask.sum()) <= len(rows) - LEAST_ROWS and len(names) < MOST_CONDITIONS:
                names.append(name)
                sources.append(i)
                masks.append(mask)
    members = np.stack(masks, axis=1) if masks else np.empty((len(rows), 0), dtype=bool)
    return names, np.array(sources), members


def _of_pictures(rows: Rows, column: str) -> Iterator[tuple[str, np.ndarray]]:
    """What pictures can be told apart by, as numbers (n,) with names."""
    if len(rows) > MOST_LOOKED_AT:
        return
    looks = looks_of(rows.batch([column])[column])
    yield f"brightness of {column}", np.round(looks.brightness)
    yield f"contrast of {column}", np.round(looks.spread)
    yield f"shorter side of {column}", np.minimum(looks.width, looks.height)


def _significant(names: Sequence[str], sources: np.ndarray, members: np.ndarray, losses: np.ndarray) -> list[Weak]:
    """Slices that are surely worse, the largest sure excess first."""
    inside = members.astype(np.float32)
    count = (inside.T @ inside).astype(np.float64)  # (k, k), the diagonal holds single conditions
    centred = (losses - losses.mean()) / losses.std()
    first = (inside.T @ (inside * centred[:, None].astype(np.float32))).astype(np.float64)
    second = (inside.T @ (inside * (centred**2)[:, None].astype(np.float32))).astype(np.float64)
    apart = (sources[:, None] < sources[None, :]) | np.eye(len(names), dtype=bool)
    tried = apart & (count >= LEAST_ROWS) & (count <= len(losses) / 2)
    excess, error = _welch(count, first, second, centred)
    sure = excess - _quantile(LEVEL / max(int(tried.sum()), 1), count) * error
    single = np.diag(excess)
    worse_than_halves = excess > np.maximum(single[:, None], single[None, :]) + error
    tried &= (sure > 0) & (worse_than_halves | np.eye(len(names), dtype=bool))
    tried &= excess * losses.std() > LEAST_EXCESS * abs(losses.mean())
    places = np.argwhere(tried)
    order = np.argsort(-sure[tried], kind="stable")[: 20 * MOST]
    return [_weak(names, members, losses, *places[i]) for i in order]


def _welch(
    count: np.ndarray, first: np.ndarray, second: np.ndarray, centred: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How much the mean within exceeds the mean without, and the standard error of that."""
    inside, outside = np.maximum(count, 2), np.maximum(len(centred) - count, 2)
    rest = centred.sum() - first, (centred**2).sum() - second
    means = first / inside, rest[0] / outside
    variances = [
        np.maximum(squares / size - mean**2, 0) / (size - 1)
        for squares, size, mean in ((second, inside, means[0]), (rest[1], outside, means[1]))
    ]
    return means[0] - means[1], np.sqrt(variances[0] + variances[1])


def _quantile(level: float, count: np.ndarray) -> np.ndarray:
    from scipy.special import stdtrit

    return np.asarray(-stdtrit(np.maximum(count - 1, 1), level))


def _weak(names: Sequence[str], members: np.ndarray, losses: np.ndarray, i: int, j: int) -> Weak:
    mask = members[:, i] & members[:, j]
    name = names[i] if i == j else f"{names[i]} and {names[j]}"
    return Weak(name, np.flatnonzero(mask), float(losses[mask].mean()), float(losses[~mask].mean()))


def _distinct(found: Sequence[Weak]) -> Iterator[Weak]:
    """Each slice that is not much the same as one before it, `MOST` at most."""
    kept: list[set[int]] = []
    for one in found:
        rows = set(one.rows.tolist())
        if all(len(rows & other) <= SAME * len(rows | other) for other in kept):
            kept.append(rows)
            yield one
        if len(kept) == MOST:
            return
