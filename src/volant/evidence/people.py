"""People as the units that tests count: whoever comes often is still one person, and is answered by one release.

The same release answers everything of a subject, so what comes of its rows is not independent; counted row by row, one
subject with many rows would decide what only many people can. So a person counts once, by the mean over the first rows
of a day from their first answer on: when that day is over and its answers have matured, nothing that comes later
changes what the person counts, and a sequence of people may be looked at after each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DAY = 86_400_000_000
"""Microseconds of a day."""
MOST_OF_ONE = 100
"""Rows of one person that are looked at; more would say little else."""


@dataclass(frozen=True)
class People:
    """Rows that count, (m,), by person, then by time, and whose each is: codes from 0 by when each came first."""

    rows: np.ndarray
    person: np.ndarray

    def __len__(self) -> int:
        return int(self.person[-1]) + 1 if len(self.person) else 0

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mean of each person's values (m,), (people,)."""
        count = np.bincount(self.person, minlength=len(self))
        return np.asarray(np.bincount(self.person, values, len(self)) / np.maximum(count, 1))

    def first(self, most: int) -> People:
        """The first of them, up to so many rows."""
        return People(self.rows[:most], self.person[:most])

    def last(self, most: int) -> People:
        """The latest of them, as many as have `most` rows at most, which is above `MOST_OF_ONE`."""
        if len(self.rows) <= most:
            return self
        start = int(np.searchsorted(self.person, self.person[-most], side="right"))
        return People(self.rows[start:], self.person[start:] - self.person[start])


def people(subject: pa.Array, at: np.ndarray, ripe: int) -> People:
    """Whose rows count by now.

    Args:
        subject: of each row, (n,); rows without one that came at the same time are of one request, and count as one.
        at: when each came, in microseconds, (n,).
        ripe: what came before has matured.
    """
    named = pc.is_valid(subject).to_numpy(zero_copy_only=False)
    code = subject.dictionary_encode().indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    moment = np.unique(at, return_inverse=True)[1]
    owner = np.where(named, code, int(code.max(initial=-1)) + 1 + moment)
    first = np.full(int(owner.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, owner, at)
    begun = first[owner]
    counts = np.where(named, (at < begun + DAY) & (begun + DAY <= ripe), at < ripe)
    rows = np.flatnonzero(counts)
    rows = rows[np.lexsort((at[rows], owner[rows], begun[rows]))]
    starts = np.flatnonzero(np.diff(owner[rows], prepend=-1) != 0)
    sizes = np.diff(starts, append=len(rows))
    kept = np.arange(len(rows)) - np.repeat(starts, sizes) < MOST_OF_ONE
    return People(rows[kept], np.repeat(np.arange(len(starts)), sizes)[kept])
