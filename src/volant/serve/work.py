"""One request while it is worked on, and the releases that work on it: several requests at once, row by row."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from volant.core.records import Batch
from volant.errors import place_of
from volant.runtime.rows import answers
from volant.serve.batches import Chosen
from volant.serve.reader import Table
from volant.serve.slot import Slot
from volant.serve.traffic import Arm

_logger = logging.getLogger("volant.serve")


class Part(msgspec.Struct, frozen=True, gc=False):
    """What one release did for a request: rows, seconds, and whether it gave no usable answer."""

    release: str
    rows: int
    seconds: float
    failed: bool = False


@dataclass
class Work:
    """One request while it is worked on: its rows, their ids, and, row by row, who answers what."""

    table: Table
    ids: list[str]
    audit: list[bool]
    arms: list[Arm]
    found: list[Any]
    parts: list[Part]

    def rows_of(self, arm: Arm) -> Sequence[int] | None:
        """The rows that an arm answers; None for all of them."""
        if self.arms.count(arm) == len(self.arms):
            return None
        return [i for i, one in enumerate(self.arms) if one is arm]


def predict(arm: Arm, works: Sequence[Work]) -> None:
    """Have one arm answer its rows of all requests at once; where that fails, request by request."""
    chosen = [(work, work.rows_of(arm)) for work in works]
    own = [(work, rows) for work, rows in chosen if rows is None or rows]
    if _answered(arm, own) or len(own) == 1:
        return
    for one in own:
        one[0].parts = [part for part in one[0].parts if part.release != arm.slot.name]
        _answered(arm, [one])


def _answered(arm: Arm, own: Sequence[tuple[Work, Sequence[int] | None]]) -> bool:
    """Put the answers of an arm to its rows; whether all of them can be sent."""
    begun = time.perf_counter()
    sizes = [len(work.table) if rows is None else len(rows) for work, rows in own]
    found, sound = _predicted(arm, [(work.table, rows) for work, rows in own], sum(sizes))
    seconds, start = (time.perf_counter() - begun) / sum(sizes), 0
    for (work, rows), size in zip(own, sizes, strict=True):
        some = found[start : start + size]
        failed = not all(sound[start : start + size])
        work.parts.append(Part(arm.slot.name, size, seconds * size, failed))
        for i, one in zip(range(size) if rows is None else rows, some, strict=True):
            work.found[i] = one
        start += size
    return all(sound)


def _predicted(arm: Arm, chosen: Sequence[Chosen], count: int) -> tuple[list[Any], list[bool]]:
    """One answer per row, and which of them can be sent."""
    slot = arm.slot
    try:
        outputs = _outputs(slot, slot.batches.of(chosen), count)
        return answers(outputs, slot.signature), _finite(outputs, count)
    except MemoryError:
        raise
    except Exception as error:  # whatever a model's library raises: the rows are logged, the caller gets a 500
        _logger.error("release %s failed to predict: %s", slot.name, place_of(error))
        return [None] * count, [False] * count


def _outputs(slot: Slot, batch: Batch, count: int) -> Batch:
    """What a release answers; where there is no memory for so many rows at once, in halves, quarters and so on."""
    parts: list[Batch] = []
    start, size = 0, count
    while start < count:
        try:
            parts.append(slot.release.predict({name: array[start : start + size] for name, array in batch.items()}))
            start += size
        except MemoryError:
            if size < 2:
                raise
            size = (size + 1) // 2
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _finite(outputs: Batch, count: int) -> list[bool]:
    """Which rows have answers whose numbers all are numbers."""
    if count == 1:
        numbers = chain.from_iterable(array.ravel().tolist() for array in outputs.values() if array.dtype.kind == "f")
        return [all(map(math.isfinite, numbers))]
    sound = np.ones(count, dtype=bool)
    for array in outputs.values():
        if array.dtype.kind == "f":
            sound &= np.isfinite(array).reshape(count, -1).all(axis=1)
    return [True] * count if sound.all() else sound.tolist()
