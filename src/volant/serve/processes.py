"""Pools of processes, for a process that answers and for what it does not do itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from volant.serve.answering import Answered, PredictionFailed, Times
from volant.serve.child import Setting
from volant.serve.elsewhere import MOST_EXPLAINING, MOST_PREDICTING, overloaded
from volant.serve.link import understood
from volant.serve.pool import Pool
from volant.serve.traffic import Traffic
from volant.serve.work import Part


class Processes:
    """Pools of processes as the place where work goes that would hold up the event loop."""

    def __init__(self, setting: Setting, processes: int, seconds: float) -> None:
        self._predicting = Pool("predict", setting, processes, MOST_PREDICTING, seconds)
        self._explaining = Pool("explain", replace(setting, threads=1), 1, MOST_EXPLAINING, seconds)
        self._needed = False
        self._seconds = seconds

    @property
    def trouble(self) -> str:
        """What keeps a slow model or a large request from an answer, or nothing."""
        if self._predicting.broken:
            return "no process that predicts can be started"
        return "no process that predicts lives" if self._needed and self._predicting.dead else ""

    @property
    def waiting(self) -> int:
        """How many requests wait for a process."""
        return self._predicting.waiting + self._explaining.waiting

    @property
    def alive(self) -> int:
        """How many processes live."""
        return self._predicting.alive + self._explaining.alive

    def follow(self, traffic: Traffic) -> None:
        """Have the processes ready where a slow model needs them for every request."""
        self._needed = traffic.inline_bytes == 0
        if self._needed or self._predicting.alive:
            self._predicting.follow(traffic)

    async def predict(self, traffic: Traffic, body: bytes, name: str = "") -> Answered:
        reply = await self._in_time(self._predicting, self._predicting.ask(traffic, body, name))
        if isinstance(reply, dict):
            parts = _parts(reply.get("parts", ()))
            raise PredictionFailed(parts) if parts else understood(reply)
        return Answered(reply[0], _parts(reply[1]), reply[2], Times(*reply[3]) if reply[3] else None)

    async def explain(self, traffic: Traffic, body: bytes) -> tuple[bytes, int]:
        reply = await self._in_time(self._explaining, self._explaining.ask(traffic, body))
        if isinstance(reply, dict):
            raise understood(reply)
        return reply[0], reply[1]

    async def _in_time(self, pool: Pool, asked: Future[Any]) -> Any:
        """A reply. What still waits in the queue when its time is over is refused, whatever the processes do.

        Raises:
            HttpError: 503.
        """
        told = asyncio.wrap_future(asked)
        try:
            await asyncio.wait([told], timeout=self._seconds)
        except asyncio.CancelledError:  # the client is gone
            asked.cancel()
            raise
        if not told.done() and pool.withdraw(asked):
            raise overloaded()
        return await told

    def close(self) -> None:
        self._predicting.close()
        self._explaining.close()


def _parts(listed: Sequence[Sequence[Any]]) -> tuple[Part, ...]:
    return tuple(Part(*one) for one in listed)
