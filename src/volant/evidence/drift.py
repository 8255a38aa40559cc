"""Drift: how far what comes now is from what a release was made for, as a size with bounds, not as a verdict of a test.

The size is the total variation distance between two distributions over fixed ranges: the share of rows that would have
to move to make one of the other. It means the same for a hundred rows and for a million; only its bounds become
narrower. An alarm is a lower bound above the least distance that matters, so that more data does not make a difference
that does not matter an alarm.

Source: the bounds are McDiarmid's inequality for the empirical total variation distance, whose mean is at most
√((K − 1) / n) / 2 for K ranges (Devroye and Lugosi, Combinatorial Methods in Density Estimation, 2001).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MOST_NAMES = 30
"""Categories that are told apart; the others are one."""
FEWEST = 5
"""Rows behind anything that a release remembers, as in reference profiles."""


@dataclass(frozen=True)
class Shares:
    """A distribution over fixed ranges: `cuts` between numbers, or `names` and all others, and last what is missing.

    `rows` is how many it was reckoned from.
    """

    shares: tuple[float, ...]
    rows: int
    cuts: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """It as plain JSON data."""
        return {"shares": list(self.shares), "rows": self.rows, "cuts": list(self.cuts), "names": list(self.names)}

    @staticmethod
    def of_record(record: Mapping[str, Any]) -> Shares:
        """What `record` gave."""
        return Shares(
            tuple(map(float, record["shares"])),
            int(record["rows"]),
            tuple(map(float, record["cuts"])),
            tuple(map(str, record["names"])),
        )


@dataclass(frozen=True)
class Drift:
    """How far something has moved: the distance as measured less what chance adds, and bounds that hold with `level`.

    `what` is `input`, `output` or `label`, `name` the column.
    """

    what: str
    name: str
    distance: float
    low: float
    high: float
    rows: int
    alarm: bool


def of_numbers(values: np.ndarray) -> Shares:
    """The distribution of numbers over ranges that hold about equally many of them; NaN is missing."""
    known = values[np.isfinite(values)]
    cuts = np.unique(2 * np.quantile(known / 2, LEVELS)) if len(known) else np.empty(0)
    return _shares(_ranges(values, cuts), len(cuts) + 2, len(values), cuts=tuple(map(float, cuts)))


def of_names(values: Sequence[str | None]) -> Shares:
    """The distribution of categories; of those with few rows none is remembered."""
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    often = sorted((name for name, n in counts.items() if n >= FEWEST), key=lambda name: (-counts[name], name))
    names = tuple(often[:MOST_NAMES])
    return _shares(_places(values, names), len(names) + 2, len(values), names=names)


def now(reference: Shares, values: Any) -> np.ndarray:
    """The shares of values over the ranges of a reference, (K,)."""
    if reference.names or not reference.cuts:
        numeric = isinstance(values, np.ndarray) and values.dtype.kind == "f"
        names = [None if v != v else str(v) for v in values] if numeric else values
        return _counted(_places(names, reference.names), len(reference.shares))
    return _counted(_ranges(np.asarray(values, dtype=np.float64), np.array(reference.cuts)), len(reference.shares))


def compare(what: str, name: str, reference: Shares, values: Any, *, alpha: float, least: float) -> Drift:
    """How far values are from a reference; the alarm is false with probability `alpha` at most.

    Args:
        what: `input`, `output` or `label`.
        name: the column.
        reference: what the release was made for.
        values: what comes now.
        alpha: the probability that the bounds do not hold.
        least: the distance that matters.
    """
    n = len(values)
    if not n or not reference.rows:
        return Drift(what, name, 0.0, 0.0, 1.0, n, alarm=False)
    seen, size = now(reference, values), len(reference.shares)
    measured = float(np.abs(seen - np.array(reference.shares)).sum() / 2)
    by_chance = sum(0.5 * np.sqrt((size - 1) / rows) for rows in (n, reference.rows))
    reach = np.sqrt(np.log(2 / alpha) / 2 * (1 / n + 1 / reference.rows))
    low, high = max(measured - by_chance - reach, 0.0), min(measured + by_chance + reach, 1.0)
    expected = _expected(np.array(reference.shares), n, reference.rows)
    distance = np.sqrt(max(measured**2 - expected**2, 0.0))
    return Drift(
        what, name, round(float(distance), 6), round(float(low), 6), round(float(high), 6), n, bool(low > least)
    )


def _expected(shares: np.ndarray, n: int, m: int) -> float:
    """The distance that chance alone gives, by the normal approximation."""
    return float(np.sqrt(2 / np.pi * shares * (1 - shares) * (1 / n + 1 / m)).sum() / 2)


def _ranges(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    found = np.searchsorted(cuts, np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf), side="left")
    return np.where(np.isnan(values), len(cuts) + 1, found)


def _places(values: Sequence[str | None], names: Sequence[str]) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, pa.string())
    found = pc.index_in(array, value_set=pa.array(names, pa.string())).fill_null(len(names))
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    missing = pc.is_null(array)
    missing = missing.combine_chunks() if isinstance(missing, pa.ChunkedArray) else missing
    return np.where(
        missing.to_numpy(zero_copy_only=False), len(names) + 1, found.to_numpy(zero_copy_only=False)
    ).astype(np.int64)


def _counted(places: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(np.bincount(places, minlength=size) / max(len(places), 1))


def _shares(
    places: np.ndarray, size: int, rows: int, *, cuts: tuple[float, ...] = (), names: tuple[str, ...] = ()
) -> Shares:
    shares = tuple(round(float(one), 8) for one in _counted(places, size))
    return Shares(shares, rows, cuts, names)
