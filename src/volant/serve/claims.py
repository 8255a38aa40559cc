"""One at a time of all requests that bear the same name, whichever process of the service they came to.

The lock of a name is one byte of a file, which is locked and never written; the system lets go of it when its holder
ends, however that ends. Within a process requests queue, so only one of them looks at the file.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

FIRST_PAUSE = 0.001
LONGEST_PAUSE = 0.05
"""Seconds between two looks at a lock that another process holds."""

T = TypeVar("T")


class Claims:
    """The names that are being worked on. All of it happens in one event loop.

    Args:
        path: the file, which is made where it is missing. A process opens it once: closing it anywhere ends its locks.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._working: set[asyncio.Future[Any]] = set()

    async def alone(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work` once nobody else works under that name.

        Work that has begun goes on to its end even where nobody waits for it any more: until then nobody can know
        what came of it.
        """
        place = _place(name)
        turn = self._turns.setdefault(place, asyncio.Lock())
        await turn.acquire()
        try:
            await self._take(place)
        except BaseException:
            turn.release()
            raise
        working = asyncio.ensure_future(work())
        self._working.add(working)
        working.add_done_callback(partial(self._done, place, turn))
        return await asyncio.shield(working)

    async def _take(self, place: int) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                return
            except (BlockingIOError, PermissionError):
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _done(self, place: int, turn: asyncio.Lock, working: asyncio.Future[Any]) -> None:
        if self._file >= 0:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
        turn.release()
        self._working.discard(working)
        if not working.cancelled():
            working.exception()  # whoever waited was told; it may be that nobody did

    def close(self) -> None:
        """Let go of all names."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def _place(name: str) -> int:
    """The byte that stands for a name. Names that share one wait for each other, which does no harm."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 2
