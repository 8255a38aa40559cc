"""Batches without end: each epoch in an order of its own, fetched ahead by a thread where that takes time.

What a batch holds follows from the seed, its epoch and its place alone. So a training that goes on in the
middle of an epoch sees what it would have seen, and how far ahead batches are fetched changes nothing.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

Batch = tuple[torch.Tensor, ...]
AHEAD = 3
"""Batches that wait to be trained on, at the most."""


@dataclass(frozen=True)
class Draw:
    """Which rows make a batch: their places (n,), the epoch, and dice for whatever else is drawn for them."""

    places: torch.Tensor
    epoch: int
    dice: torch.Generator


class Source(Protocol):
    """Rows to train on. `slow` tells that fetching takes long enough to be worth a thread."""

    slow: bool

    def __len__(self) -> int: ...

    def fetch(self, draw: Draw) -> Batch:
        """The rows of a batch, as tensors of its own whose first dimension is the rows."""


class Tensors:
    """Tensors whose first dimension is the rows."""

    slow = False

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._tensors = tuple(tensors)

    def __len__(self) -> int:
        return len(self._tensors[0])

    def fetch(self, draw: Draw) -> Batch:
        return tuple(values[draw.places] for values in self._tensors)


def dice_at(seed: int, *places: int) -> torch.Generator:
    """A generator that is a function of a seed and of where it is used."""
    mixed = seed & 0xFFFFFFFFFFFFFFFF
    for place in places:
        mixed = _mixed((mixed + 0x9E3779B97F4A7C15 * (place + 1)) & 0xFFFFFFFFFFFFFFFF)
    return torch.Generator().manual_seed(mixed >> 1)


def _mixed(state: int) -> int:
    """Every bit of the state spread over all others. Source: Steele et al., Fast splittable generators (2014)."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return state ^ (state >> 31)


class Feeder:
    """Cuts epochs into batches that are about as large as each other; of a batch, each of a crew takes its share.

    Args:
        source: the rows.
        batch: rows per step, of all of the crew together.
        seed: of the orders and of what is drawn for batches.
        rank: which of the crew this is.
        size: how many they are.
    """

    def __init__(self, source: Source, batch: int, seed: int, rank: int = 0, size: int = 1) -> None:
        self.source, self.seed, self.rank, self.size = source, seed, rank, size
        self.rows = len(source)
        self.per_epoch = max(1, math.ceil(self.rows / batch))
        self._order: tuple[int, torch.Tensor] | None = None

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """The batches from the `first` one on, counted from the beginning of the training."""
        if not self.source.slow:
            return self._here(first)
        return self._ahead(first)

    def _here(self, place: int) -> Iterator[Batch]:
        while True:
            yield self.source.fetch(self._draw(place))
            place += 1

    def _draw(self, place: int) -> Draw:
        epoch, within = divmod(place, self.per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, torch.randperm(self.rows, generator=dice_at(self.seed, epoch))
        places = torch.tensor_split(self._order[1], self.per_epoch)[within]
        if self.size > 1:
            share = max(1, len(places) // self.size)
            places = places[self.rank * share : (self.rank + 1) * share]
        return Draw(places, epoch, dice_at(self.seed, epoch, within, self.rank))

    def _ahead(self, first: int) -> Iterator[Batch]:
        waiting: queue.Queue[Batch | BaseException] = queue.Queue(AHEAD)
        ended = threading.Event()

        def put(found: Batch | BaseException) -> bool:
            while not ended.is_set():
                try:
                    waiting.put(found, timeout=0.2)
                except queue.Full:
                    continue
                return True
            return False

        def work() -> None:
            try:
                for found in self._here(first):
                    if not put(found):
                        return
            except BaseException as cause:  # told where the batch is awaited
                put(cause)

        thread = threading.Thread(target=work, name="volant-feeder", daemon=True)
        thread.start()
        try:
            while True:
                found = waiting.get()
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            ended.set()
            thread.join()
