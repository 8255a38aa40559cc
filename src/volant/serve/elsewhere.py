"""Work that would hold up the event loop, done elsewhere: in threads here, in processes of their own in `pool.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from volant.serve.answering import Answered, Answerer
from volant.serve.explaining import Explaining
from volant.serve.problems import HttpError
from volant.serve.traffic import Traffic

MOST_PREDICTING = 256
"""Requests that may wait. What comes beyond is refused before any work is done."""

MOST_EXPLAINING = 8
"""Requests that may wait for an explanation."""

P = ParamSpec("P")
T = TypeVar("T")


class Elsewhere(Protocol):
    """Where large requests, slow models and explanations go."""

    @property
    def trouble(self) -> str:
        """What keeps it from working, or nothing."""

    @property
    def waiting(self) -> int:
        """How many requests wait."""

    @property
    def alive(self) -> int:
        """How many processes there are."""

    def follow(self, traffic: Traffic) -> None:
        """Return once it can answer as `traffic` says.

        Raises:
            VolantError: it cannot.
        """

    async def predict(self, traffic: Traffic, body: bytes, name: str = "") -> Answered:
        """The answer to a body; see `Answerer.answer` for what a name does.

        Raises:
            VolantError: 503 where too much is waiting, else see `Answerer.answer`.
        """

    async def explain(self, traffic: Traffic, body: bytes) -> tuple[bytes, int]:
        """The explanations that a body asks for, and of how many rows.

        Raises:
            VolantError: 503 where too much is waiting, else see `Explaining.answer`.
        """

    def close(self) -> None:
        """Return when all work is done."""


class Threads:
    """Threads of this process, for applications that run inside of another server."""

    trouble = ""
    alive = 0

    def __init__(self, answerer: Answerer, explaining: Explaining, threads: int = 2) -> None:
        self._answerer = answerer
        self._explaining = explaining
        self._predicting = Queued(threads, MOST_PREDICTING)
        self._explainers = Queued(1, MOST_EXPLAINING)

    @property
    def waiting(self) -> int:
        return self._predicting.taken + self._explainers.taken

    def follow(self, traffic: Traffic) -> None:
        """Threads see what is loaded here."""

    async def predict(self, traffic: Traffic, body: bytes, name: str = "") -> Answered:
        return await self._predicting.run(self._answerer.answer, traffic, body, name)

    async def explain(self, traffic: Traffic, body: bytes) -> tuple[bytes, int]:
        return await self._explainers.run(self._explaining.answer, traffic.champion.slot, body)

    def close(self) -> None:
        self._predicting.close()
        self._explainers.close()


class Queued:
    """Threads with a bounded queue before them."""

    def __init__(self, threads: int, most_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="volant-work")
        self._most = threads + most_waiting
        self.taken = 0

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work`, done in a thread. Call it in the event loop.

        Raises:
            HttpError: 503: too much is waiting already.
        """
        if self.taken >= self._most:
            raise overloaded()
        self.taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))
        finally:
            self.taken -= 1

    def close(self) -> None:
        self._pool.shutdown()


def overloaded() -> HttpError:
    """The refusal of what would have to wait too long."""
    return HttpError(503, "overloaded", "too many requests are waiting", fix="try again in a second")
