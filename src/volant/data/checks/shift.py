"""How much columns differ between groups of rows: the share of rows that would have to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from volant.data.checks.study import Codes, Study

SIZE = 0.2
ODDS = 1e-6
MOST_CATEGORIES = 50
RARE = 20
"""Rows below which a category counts among the others."""


@dataclass(frozen=True)
class Shift:
    """A column whose values differ between one group of rows and the others; `size` is in [0, 1]."""

    column: str
    group: int
    size: float


def shifts(study: Study, names: Sequence[str], groups: np.ndarray) -> list[Shift]:
    """Columns that differ between groups of rows, the strongest first.

    Args:
        study: the rows.
        names: columns to compare; times and columns that only rise or fall are passed over.
        groups: group indices, shape (n,), -1 for rows that belong to none.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    sizes = np.bincount(groups[groups >= 0], minlength=count)
    if count < 2 or sizes.min() < 20:
        return []
    noise = _noise(sizes, max(len(names), 1) * count)
    found = [_largest(study, name, groups, sizes, noise) for name in names if study.kind(name) not in ("time", "media")]
    return sorted((s for s in found if s), key=lambda s: -s.size)


def _noise(sizes: np.ndarray, comparisons: int) -> np.ndarray:
    """The Kolmogorov-Smirnov distance of each group from the others that chance reaches with odds `ODDS`.

    Source: Massart, The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality, 1990.
    """
    others = sizes.sum() - sizes
    return np.asarray(np.sqrt(np.log(2 * comparisons / ODDS) / 2 * (1 / sizes + 1 / np.maximum(others, 1))))


def _largest(study: Study, name: str, groups: np.ndarray, sizes: np.ndarray, noise: np.ndarray) -> Shift | None:
    inside = groups >= 0
    if study.kind(name) in ("number", "boolean"):
        values = study.values(name)
        if _only_rises(values):
            return None
        distance = _numbers(values[inside], groups[inside], len(sizes))
    else:
        distance = _categories(study.codes(name), groups, len(sizes))
    group = int((distance - noise).argmax())
    size = float(distance[group])
    return Shift(name, group, size) if size >= max(SIZE, float(noise[group])) else None


def _only_rises(values: np.ndarray) -> bool:
    values = values[np.isfinite(values)]
    before, after = values[:-1], values[1:]
    one_way = bool((after >= before).all() or (after <= before).all())
    return len(after) > 20 and one_way and bool((after != before).mean() > 0.5)


def _numbers(values: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Kolmogorov-Smirnov distance between each group and the others, shape (count,); missing counts as lowest."""
    _, ranks, sizes = np.unique(np.where(np.isnan(values), -np.inf, values), return_inverse=True, return_counts=True)
    step = max(1, len(sizes) // 2000)
    bins = ranks // step
    table = np.bincount(groups * (int(bins.max()) + 1) + bins, minlength=count * (int(bins.max()) + 1))
    table = table.reshape(count, -1).cumsum(axis=1)
    own = table / table[:, -1:]
    rest = table.sum(axis=0) - table
    return np.asarray(np.abs(own - rest / rest[:, -1:]).max(axis=1))


def _categories(codes: Codes, groups: np.ndarray, count: int) -> np.ndarray:
    """Total variation between each group and the others over the frequent categories, shape (count,)."""
    sizes = codes.sizes()
    frequent = np.argsort(-sizes, kind="stable")[:MOST_CATEGORIES]
    frequent = frequent[sizes[frequent] >= RARE]
    place = np.full(codes.count + 1, len(frequent), dtype=np.int64)
    place[frequent] = np.arange(len(frequent))
    place[-1] = len(frequent) + 1  # missing
    width = len(frequent) + 2
    inside = groups >= 0
    table = np.bincount(groups[inside] * width + place[codes.codes[inside]], minlength=count * width)
    table = table.reshape(count, width).astype(np.float64)
    rest = table.sum(axis=0) - table
    total = np.maximum(table.sum(axis=1, keepdims=True), 1)
    others = np.maximum(rest.sum(axis=1, keepdims=True), 1)
    distance = np.abs(table / total - rest / others).sum(axis=1) / 2
    return np.asarray(np.maximum(distance - _expected(table, rest, total, others), 0))


def _expected(table: np.ndarray, rest: np.ndarray, total: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The total variation that samples of these sizes show when nothing differs, shape (count,)."""
    pooled = (table + rest) / (total + others)
    return np.asarray(np.sqrt(2 / np.pi * pooled * (1 - pooled) * (1 / total + 1 / others)).sum(axis=1) / 2)
