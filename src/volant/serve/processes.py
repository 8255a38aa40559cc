"""Pools of processes, for a process that answers and for what it does not do itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from volant.serve.answering import Answered, Part, PredictionFailed
from volant.serve.child import Setting
from volant.serve.elsewhere import MOST_EXPLAINING, MOST_PREDICTING
from volant.serve.link import understood
from volant.serve.pool import Pool
from volant.serve.traffic import Traffic


class Processes:
    """Pools of processes as the place where work goes that would hold up the event loop."""

    def __init__(self, setting: Setting, processes: int, seconds: float) -> None:
        self._predicting = Pool("predict", setting, processes, MOST_PREDICTING, seconds)
        self._explaining = Pool("explain", replace(setting, threads=1), 1, MOST_EXPLAINING, seconds)
        self._needed = False

    @property
    def trouble(self) -> str:
        """What keeps a slow model from answering, or nothing."""
        return "no process that predicts can be started" if self._needed and self._predicting.broken else ""

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
        reply = await asyncio.wrap_future(self._predicting.ask(traffic, body, name))
        if isinstance(reply, dict):
            parts = _parts(reply.get("parts", ()))
            raise PredictionFailed(parts) if parts else understood(reply)
        return Answered(reply[0], _parts(reply[1]), reply[2])

    async def explain(self, traffic: Traffic, body: bytes) -> tuple[bytes, int]:
        reply = await asyncio.wrap_future(self._explaining.ask(traffic, body))
        if isinstance(reply, dict):
            raise understood(reply)
        return reply[0], reply[1]

    def close(self) -> None:
        self._predicting.close()
        self._explaining.close()


def _parts(listed: Sequence[Sequence[Any]]) -> tuple[Part, ...]:
    return tuple(Part(*one) for one in listed)
