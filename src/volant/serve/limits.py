"""What keys have used: requests per second and rows per period, shared by the processes of a service.

The figures lie in a small file that every process maps into its memory, so they survive a restart and counting costs
no system call. Of each key it holds one time (when its bucket will be empty again), and per process a period and a
count, which only that process writes. Two processes that let a request in at the very same moment may see the same
time; a rate is then exceeded by at most one request per process, a quota by none.

Source: the generic cell rate algorithm, ITU-T I.371.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from volant.errors import Failure
from volant.serve.problems import HttpError
from volant.store import flock
from volant.store.records import ApiKeyRow

MOST_PROCESSES = 64
MOST_KEYS = 1024
_CELL = struct.Struct("<qq")
_TIME = struct.Struct("<d")
_OWNER = struct.Struct("<Q")
_SLOT = _OWNER.size + _TIME.size + MOST_PROCESSES * _CELL.size
SIZE = MOST_KEYS * _SLOT


class Limits:
    """Holds keys to their limits.

    Args:
        memory: `SIZE` bytes that all processes see.
        files: the open file behind it, where there is one, and others to close with it.
        process: the number of this process among all that serve the product, from 0.
    """

    def __init__(
        self,
        memory: mmap.mmap,
        files: tuple[int, ...] = (),
        process: int = 0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._memory = memory
        self._files = files
        self._cell = _OWNER.size + _TIME.size + process * _CELL.size
        self._monotonic = monotonic
        self._wall = wall
        self._slots: dict[str, int] = {}

    @staticmethod
    def private() -> Limits:
        """Limits that no other process sees."""
        return Limits(mmap.mmap(-1, SIZE))

    @staticmethod
    def shared(home: Path) -> Limits:
        """Limits in a file of the product's home, which is made where it is missing."""
        process, held = _own_number(home / "locks")
        descriptor = os.open(home / "limits", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(descriptor, SIZE)
        return Limits(mmap.mmap(descriptor, SIZE), (descriptor, held), process)

    def close(self) -> None:
        """Give this process's place to others."""
        for descriptor in self._files:
            os.close(descriptor)
        self._files = ()

    def provide(self, ids: Iterable[str]) -> None:
        """Have a place for each of these keys, the one that it always had; places of others become free."""
        wanted = {id: _owner(id) for id in ids}
        if wanted.keys() == self._slots.keys():
            return
        for file in self._files[:1]:
            flock.take(file)
        try:
            self._slots = self._placed(wanted)
        finally:
            for file in self._files[:1]:
                flock.release(file)

    def _placed(self, wanted: dict[str, int]) -> dict[str, int]:
        owners = {_OWNER.unpack_from(self._memory, place)[0]: place for place in range(0, SIZE, _SLOT)}
        owners.pop(0, None)
        placed = {id: owners[owner] for id, owner in wanted.items() if owner in owners}
        kept = set(placed.values())
        free = (place for place in range(0, SIZE, _SLOT) if place not in kept)
        for id, owner in wanted.items():
            if id not in placed and (place := next(free, None)) is not None:
                self._memory[place : place + _SLOT] = _OWNER.pack(owner) + bytes(_SLOT - _OWNER.size)
                placed[id] = place
        return placed

    def take(self, key: ApiKeyRow) -> None:
        """One request of a key.

        Raises:
            HttpError: 429 with `Retry-After`: too many requests, or the quota is used up; 503: there is no place.
        """
        if key.rate is None and key.quota is None:
            return
        place = self._slots.get(key.id)
        if place is None:  # a limit that nobody could hold the key to
            what = f"more than {MOST_KEYS} keys have limits"
            raise HttpError(503, "overloaded", what, where="Authorization", fix="revoke keys that nobody uses")
        if key.quota is not None and key.period is not None:
            self._refuse_beyond_quota(place, key.quota, key.period)
        if key.rate is not None:
            self._refuse_beyond_rate(place + _OWNER.size, key.rate, key.burst or 1)

    def refuse_if_used_up(self, key: ApiKeyRow) -> None:
        """Look at a key's quota once more.

        Raises:
            HttpError: 429: it was used up since the request was let in.
        """
        place = self._slots.get(key.id)
        if place is not None and key.quota is not None and key.period is not None:
            self._refuse_beyond_quota(place, key.quota, key.period)

    def charge(self, key: ApiKeyRow, rows: int) -> None:
        """Count rows against a key's quota."""
        place = self._slots.get(key.id)
        if place is None or key.period is None:
            return
        now, cell = _period(key.period, self._wall())[0], place + self._cell
        period, count = _CELL.unpack_from(self._memory, cell)
        _CELL.pack_into(self._memory, cell, now, rows + (count if period == now else 0))

    def used(self, key: ApiKeyRow) -> int:
        """Rows of the key in the present period."""
        place = self._slots.get(key.id)
        return 0 if place is None or key.period is None else self._used(place, _period(key.period, self._wall())[0])

    def _used(self, place: int, now: int) -> int:
        start = place + _OWNER.size + _TIME.size
        cells = _CELL.iter_unpack(self._memory[start : start + MOST_PROCESSES * _CELL.size])
        return sum(count for period, count in cells if period == now)

    def _refuse_beyond_quota(self, place: int, quota: int, period: str) -> None:
        now, left = _period(period, self._wall())
        if self._used(place, now) >= quota:
            raise _too_many("quota-exceeded", f"the key's quota of {quota} rows per {period} is used up", left)

    def _refuse_beyond_rate(self, place: int, rate: float, burst: int) -> None:
        now = self._monotonic()
        full = burst / rate
        empty = _TIME.unpack_from(self._memory, place)[0]
        if not now <= empty <= now + full + 1.0:  # long empty, or a time from before the machine was started
            empty = now
        wait = empty + 1.0 / rate - now - full
        if wait > 1e-9:
            raise _too_many("rate-exceeded", "the key sends too many requests", wait)
        _TIME.pack_into(self._memory, place, empty + 1.0 / rate)


def _own_number(folder: Path) -> tuple[int, int]:
    """A number that no other process has, and the lock by which it is held for as long as this process lives."""
    for number in range(MOST_PROCESSES):
        descriptor = os.open(folder / f"process-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if flock.try_take(descriptor):
            return number, descriptor
        os.close(descriptor)
    fix = "set serve.workers lower, or stop another service of this product"
    raise Failure(f"more than {MOST_PROCESSES} processes serve the product", code="overloaded", fix=fix)


def _owner(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "little") | 1


def _period(name: str, now: float) -> tuple[int, float]:
    """The number of the period that a time is in, and the seconds that are left of it."""
    if name == "month":
        moment = datetime.fromtimestamp(now, UTC)
        number = moment.year * 12 + moment.month - 1
        end = datetime((number + 1) // 12, (number + 1) % 12 + 1, 1, tzinfo=UTC)
        return number, end.timestamp() - now
    length = {"minute": 60, "hour": 3600, "day": 86400}[name]
    return int(now // length), length - now % length


def _too_many(code: str, what: str, wait: float) -> HttpError:
    seconds = max(math.ceil(wait), 1)
    return HttpError(
        429,
        code,
        what,
        where="Authorization",
        fix=f"try again in {seconds} seconds",
        headers=[(b"retry-after", b"%d" % seconds)],
    )
