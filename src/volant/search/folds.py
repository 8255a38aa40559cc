"""Folds that depend on keys alone, so that equal rows and subjects stay together."""

from __future__ import annotations

import numpy as np

from volant.core.ids import keyed_unit
from volant.core.records import Problem


def fold_numbers(keys: np.ndarray, strata: np.ndarray | None, folds: int, seed: int) -> np.ndarray:
    """The fold of each row, shape (n,), int64 in [0, folds).

    Keys are ordered by a hash; within each stratum (that of a key's first row) they are dealt out in turn.
    """
    unique, first, inverse = np.unique(keys.astype(str), return_index=True, return_inverse=True)
    units = np.array(keyed_unit(f"folds {seed}", unique))
    groups = (
        np.zeros(len(unique), dtype=np.int64) if strata is None else np.unique(strata[first], return_inverse=True)[1]
    )
    order = np.lexsort((units, groups))
    dealt = np.empty(len(unique), dtype=np.int64)
    dealt[order] = np.arange(len(unique)) % folds
    numbers: np.ndarray = dealt[inverse]
    return numbers


def latest(times: np.ndarray, share: float) -> np.ndarray:
    """Fold 0 for the latest `share` of the rows, 1 for the others: what a forecast has to cope with.

    `times` (n,) are datetime64 or numbers; a missing one counts as early. Where many rows share one time, the
    share is smaller, so that some are left to learn from; where all do, none is held out.
    """
    moments = times.dtype.kind == "M"
    stamps = times.astype("datetime64[us]").astype(np.int64).astype(np.float64) if moments else times.astype(np.float64)
    stamps = np.nan_to_num(stamps, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    cut = np.sort(stamps)[int(np.ceil((len(stamps) - 1) * (1 - share)))]
    late = stamps >= cut
    return np.where(stamps > cut if late.all() else late, 0, 1)


def how_many(rows: int) -> int:
    """Folds by the number of rows: eight, six, four, or one part held out (0.2 of the rows)."""
    return 8 if rows <= 1_000 else 6 if rows <= 5_000 else 4 if rows <= 20_000 else 1


def strata_of(truth: np.ndarray, problem: Problem) -> np.ndarray | None:
    """What folds are stratified by, (n,): the class of a row, or the rarest label that it carries; None of numbers."""
    if problem.classes:
        return truth
    if not problem.labels:
        return None
    carried = truth == 1
    rarity = np.argsort(np.argsort(carried.sum(axis=0), kind="stable"), kind="stable")  # 0 is the rarest
    return np.where(carried, rarity, carried.shape[1]).min(axis=1)
