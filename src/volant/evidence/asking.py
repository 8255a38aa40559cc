"""What to ask: which of many predictions are worth a question, when only few can be asked about.

What is uncertain or contested comes first; of that, what is unlike what was chosen already. With few labels the typical
rows of what is not covered yet teach more than the uncertain ones (TypiClust); with many, rows are drawn so that their
gradients are large and spread (BADGE). A share is drawn at random, so that nothing stays unseen for good.

Source: Hacohen, Dekel and Weinshall, ICML 2022 (TypiClust); Ash et al., ICLR 2020 (BADGE), whose k-means++ seeding
this is, on the gradient of the last layer with the row's own columns as its embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FEW_LABELS = 10
"""Labels per class below which typical rows are asked about."""
NEIGHBOURS = 20
DIMENSIONS = 64


@dataclass(frozen=True)
class Asked:
    """Predictions to ask about, by position: why, how pressing, and how probable it was that each would be drawn."""

    place: np.ndarray
    why: tuple[str, ...]
    score: np.ndarray
    propensity: np.ndarray


def embed(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rows as points, (n, d): numbers by their rank in [−1, 1], everything else by a hash of its value.

    Ranks need no scale and no outlier moves them.
    """
    parts: list[np.ndarray] = []
    for name, values in columns.items():
        if values.dtype.kind in "fiu":
            sent = values[~np.isnan(values)]
            known = np.nan_to_num(values.astype(np.float64), nan=float(np.median(sent)) if len(sent) else 0.0)
            rank = np.searchsorted(np.sort(known), known, side="left") / max(len(known) - 1, 1)
            parts.append((2 * rank - 1)[:, None])
        else:
            parts.append(_hashed(name, values))
    return np.concatenate(parts, axis=1) if parts else np.zeros((0, 1))


def _hashed(name: str, values: np.ndarray) -> np.ndarray:
    from zlib import crc32

    width = min(DIMENSIONS, max(len(set(map(str, values.tolist()))), 1))
    place = np.array([crc32(f"{name}={value}".encode()) % width for value in values.tolist()], dtype=np.int64)
    return np.asarray(np.eye(width)[place])


def choose(
    points: np.ndarray,
    probabilities: np.ndarray,
    contested: np.ndarray,
    *,
    labels: int,
    budget: int,
    explore: float,
    chance: np.random.Generator,
) -> Asked:
    """Choose what to ask about.

    Args:
        points: rows as points, (n, d).
        probabilities: of each class, (n, C); with no classes (n, 0).
        contested: how much people contradict each other, or the models, (n,), in [0, 1].
        labels: how many labels there are already.
        budget: how many questions may be asked.
        explore: share of them that is drawn at random.
        chance: decides.
    """
    n, budget = len(points), min(budget, len(points))
    if not budget:
        return Asked(np.empty(0, dtype=np.int64), (), np.empty(0), np.empty(0))
    random = int(chance.binomial(budget, explore))
    blind = chance.choice(n, random, replace=False) if random else np.empty(0, dtype=np.int64)
    left = np.setdiff1d(np.arange(n), blind)
    first = left[np.argsort(-contested[left], kind="stable")]
    disputed = first[contested[first] > 0][: (budget - random + 1) // 2]
    rest = np.setdiff1d(left, disputed)
    wanted = budget - random - len(disputed)
    few = labels < FEW_LABELS * max(probabilities.shape[1], 2)
    if few:
        chosen, why = typical(points, rest, wanted, chance), "typical of what is not covered yet"
    else:
        chosen, why = (
            spread(_gradients(points, probabilities), rest, wanted, chance),
            "uncertain, and unlike others",
        )
    reasons = (
        *["people contradict each other"] * len(disputed),
        *[why] * len(chosen),
        *["drawn at random"] * len(blind),
    )
    place = np.concatenate([disputed, chosen, blind]).astype(np.int64)
    unsure = _unsure(probabilities, n)
    score = np.concatenate([1 + contested[disputed], unsure[chosen], np.zeros(len(blind))])
    drawn = np.full(len(place), explore * budget / max(n, 1))
    drawn[: len(disputed) + len(chosen)] = 1.0
    return Asked(place, reasons, score, drawn)


def _unsure(probabilities: np.ndarray, n: int) -> np.ndarray:
    """How close the best class is to the next one, (n,), in [0, 1]."""
    if probabilities.shape[1] < 2:
        return np.full(n, 0.5)
    best = np.sort(probabilities, axis=1)[:, -2:]
    return np.asarray(1 - (best[:, 1] - best[:, 0]))


def _gradients(points: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The gradient of the last layer if the likeliest class were true, (n, d·C), or the points where none is known."""
    if probabilities.shape[1] < 2:
        return points
    top = np.argsort(probabilities, axis=1)[:, -2:]  # of many classes the two likeliest say it all
    residual = np.take_along_axis(probabilities, top, axis=1) - np.array([[0.0, 1.0]])
    flat = residual[:, :, None] * points[:, None, :]
    return np.asarray(flat.reshape(len(points), -1))


def spread(points: np.ndarray, among: np.ndarray, count: int, chance: np.random.Generator) -> np.ndarray:
    """So many of some rows, each drawn by the square of its distance to those drawn before (k-means++)."""
    if count <= 0 or not len(among):
        return np.empty(0, dtype=np.int64)
    some = points[among]
    nearest = (some**2).sum(axis=1)
    chosen: list[int] = []
    for _ in range(min(count, len(among))):
        nearest[chosen] = 0.0
        total = nearest.sum()
        free = np.setdiff1d(np.arange(len(among)), chosen)
        one = int(chance.choice(len(among), p=nearest / total)) if total > 0 else int(chance.choice(free))
        chosen.append(one)
        nearest = np.minimum(nearest, ((some - some[one]) ** 2).sum(axis=1))
    return among[np.array(chosen, dtype=np.int64)]


def typical(points: np.ndarray, among: np.ndarray, count: int, chance: np.random.Generator) -> np.ndarray:
    """So many of some rows: of each cluster the one whose neighbours are nearest."""
    if count <= 0 or not len(among):
        return np.empty(0, dtype=np.int64)
    count = min(count, len(among))
    centres = points[spread(points - points.mean(axis=0), among, count, chance)]
    some = points[among]
    distance = ((some[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2) if len(some) * count < 5_000_000 else None
    if distance is None:  # too many to compare at once
        distance = np.stack([((some - centre) ** 2).sum(axis=1) for centre in centres], axis=1)
    cluster = distance.argmin(axis=1)
    found: list[int] = []
    for number in np.argsort(-np.bincount(cluster, minlength=count), kind="stable"):
        members = np.flatnonzero(cluster == number)
        if len(members):
            found.append(int(members[_closest(some[members[:1000]])]))
    found += [one for one in range(len(among)) if one not in set(found)][: count - len(found)]
    return among[np.array(found[:count], dtype=np.int64)]


def _closest(points: np.ndarray) -> int:
    """The point whose nearest neighbours are nearest on average."""
    distance = np.sqrt(((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)) if len(points) < 400 else None
    if distance is None:
        return int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin())
    near = np.sort(distance, axis=1)[:, 1 : NEIGHBOURS + 1]
    return int(near.mean(axis=1).argmin()) if near.size else 0
