"""Work that leaves the event loop: threads with a bounded queue, and work that repeats in the background."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from volant.errors import VolantError, place_of
from volant.serve.problems import HttpError

MOST_WAITING = 64
"""Requests that may wait for a thread. What comes beyond is refused before any work is done."""

P = ParamSpec("P")
T = TypeVar("T")
_logger = logging.getLogger("volant.serve")


class Workers:
    """Threads for requests that would hold up the event loop, with a bounded queue before them."""

    def __init__(self, threads: int, most_waiting: int = MOST_WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="volant-work")
        self._most = threads + most_waiting
        self._taken = 0

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work`, done in a thread. Call it in the event loop.

        Raises:
            HttpError: 503: too much is waiting already.
        """
        if self._taken >= self._most:
            raise HttpError(503, "overloaded", "too many large requests are waiting", fix="try again in a second")
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))
        finally:
            self._taken -= 1

    def close(self) -> None:
        """Return when all work is done."""
        self._pool.shutdown()


class Repeating:
    """A daemon thread that does some work every `seconds`, whatever happened the time before."""

    def __init__(
        self,
        name: str,
        seconds: float,
        work: Callable[[], None],
        failed: Callable[[str], None],
        *,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._at_end = at_end or work
        self._seconds = seconds
        self._work = work
        self._failed = failed
        self._stop = threading.Event()
        self._last_said = ""
        self._thread = threading.Thread(target=self._run, name=f"volant-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when the work that is being done is done."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def finish(self) -> None:
        """Do what is to be done at the end: by default the work, once more."""
        self._work = self._at_end
        self.once()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.once()

    def once(self) -> None:
        """Do the work now. A failure is counted, and told once until it changes or is over."""
        try:
            self._work()
            self._last_said = ""
        except Exception as error:  # the thread must live: the service depends on it
            self._failed(self.name)
            said = error.what if isinstance(error, VolantError) else place_of(error)
            if said != self._last_said:
                self._last_said = said
                _logger.error("%s failed, will try again: %s", self.name, said)
