"""Slices: groups of rows, by the values of a column, on which a model is looked at by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from volant.core.protocols import Rows

LEAST_ROWS = 30
"""A value with fewer rows is put together with other rare ones."""

MOST_VALUES = 50
QUARTERS = (0.25, 0.5, 0.75)


def declared_slices(rows: Rows, columns: Sequence[str], *, least: int = LEAST_ROWS) -> dict[str, np.ndarray]:
    """Masks (n,) by name for each value of the named columns: categories, quarters of numbers, missing.

    Values with fewer than `least` rows are one slice together, with the rarest other value if they are
    still too few, so that every row is in one slice per column and few slices are too small to judge.
    """
    found = ((column, list(parts(column, values_of(rows, column)))) for column in columns)
    return {name: mask for column, some in found for name, mask in _together(column, some, least)}


def values_of(rows: Rows, column: str) -> np.ndarray:
    """A column's canonical values; those of a boolean as words."""
    values = np.asarray(rows.batch([column])[column])
    if rows.schema[column].type != "boolean":
        return values
    words = np.array(["false", "true", None], dtype=object)
    picked: np.ndarray = words[np.where(np.isnan(values), 2, values).astype(np.int64)]
    return picked


def parts(column: str, values: np.ndarray, most: int = MOST_VALUES) -> Iterator[tuple[str, np.ndarray]]:
    """Names and masks (n,) that part the rows by one column's canonical values."""
    kind = values.dtype.kind
    if kind == "M":
        absent = np.isnat(values)
        yield from _by_number(column, np.where(absent, np.nan, values.astype("datetime64[s]").astype(np.float64)), True)
    elif kind in "fiu":
        absent = np.isnan(values.astype(np.float64))
        yield from _by_number(column, values.astype(np.float64), False)
    else:
        absent = np.array([value is None for value in values], dtype=bool)
        yield from _by_value(column, values, absent, most)
    if absent.any():
        yield f"{column} is missing", absent


def _by_value(column: str, values: np.ndarray, absent: np.ndarray, most: int) -> Iterator[tuple[str, np.ndarray]]:
    known, place, counts = np.unique(values[~absent].astype(str), return_inverse=True, return_counts=True)
    rank = np.lexsort((known, -counts))
    where = np.full(len(values), -1)
    where[~absent] = place
    for position in rank[:most]:
        yield f"{column}={known[position]}", where == position
    if len(rank) > most:
        yield f"{column} is any other value", np.isin(where, rank[most:])


def _by_number(column: str, numbers: np.ndarray, times: bool) -> Iterator[tuple[str, np.ndarray]]:
    known = numbers[np.isfinite(numbers)]
    distinct = np.unique(known[:100_000])
    if len(distinct) <= 4:
        for value in distinct:
            yield f"{column}={_text(value, times)}", numbers == value
        return
    cuts = np.unique(np.quantile(known, QUARTERS, method="lower"))
    place = np.searchsorted(cuts, numbers, side="left")
    for position in range(len(cuts) + 1):
        yield _range(column, cuts, position, times), (place == position) & ~np.isnan(numbers)


def _range(column: str, cuts: np.ndarray, position: int, times: bool) -> str:
    if position == 0:
        return f"{column} ≤ {_text(cuts[0], times)}"
    if position == len(cuts):
        return f"{column} > {_text(cuts[-1], times)}"
    return f"{_text(cuts[position - 1], times)} < {column} ≤ {_text(cuts[position], times)}"


def _text(value: float, times: bool) -> str:
    if times:
        return str(np.datetime64(int(value), "s")).replace("T", " ").removesuffix(" 00:00:00")
    return f"{value:.6g}"


def _together(column: str, found: list[tuple[str, np.ndarray]], least: int) -> Iterator[tuple[str, np.ndarray]]:
    """The same parts, the rare ones as one."""
    sizes = [int(mask.sum()) for _, mask in found]
    ordered = sorted(range(len(found)), key=lambda i: (sizes[i], found[i][0]))
    rare = [i for i in ordered if sizes[i] < least]
    if rare and sum(sizes[i] for i in rare) < least and len(rare) < len(found):
        rare.append(ordered[len(rare)])
    yield from (found[i] for i in range(len(found)) if i not in rare and sizes[i])
    if len(rare) == 1:
        yield found[rare[0]]
    elif rare:
        mask = np.any([found[i][1] for i in rare], axis=0)
        if mask.any():
            yield f"{column} is one of {len(rare)} rare values", mask
