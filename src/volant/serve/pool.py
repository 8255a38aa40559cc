"""Processes that predict for one that answers: slow models, large requests, explanations.

A queue is drained, never waited for: whenever a process is free, it is given what came in meanwhile as one batch, as
much of it as is expected to take a tenth of a second. More gains nothing, and whoever came first would wait for all.
What cannot be answered within its deadline is refused while it waits; what hangs is ended with its process, and what
else was in that batch is tried once more, alone, by a new one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from volant.serve.child import Child, Setting
from volant.serve.elsewhere import overloaded
from volant.serve.keeping import Keeper
from volant.serve.link import Gone, understood
from volant.serve.problems import HttpError
from volant.serve.traffic import Traffic

MOST_BATCH = 256
MOST_BATCH_BYTES = 2_000_000
BATCH_SECONDS = 0.1
"""Requests, bytes of them, and their seconds, that make one batch. A larger request is one by itself."""

MOST_ATTEMPTS = 2
LOOK_SECONDS = 0.5
"""How often an idle process is looked at, whether it still lives."""

_logger = logging.getLogger("volant.serve")


@dataclass(eq=False)
class Asked:
    """One request that waits or is worked on, for whom, until when, and how often it was tried."""

    traffic: Traffic
    body: bytes
    name: str
    until: float
    future: Future[Any] = field(default_factory=Future)
    attempts: int = 0


class Pool:
    """Some processes and the queue before them. Any thread may ask.

    Args:
        do: what they do, `predict` or `explain`.
        setting: how a process is set up.
        processes: how many there are; they are started when they are first needed.
        most_waiting: requests that may wait; more are refused at once.
        seconds: how long a request may take, waiting included.
    """

    def __init__(self, do: str, setting: Setting, processes: int, most_waiting: int, seconds: float) -> None:
        self._do = do
        self._setting = setting
        self._most = most_waiting
        self._seconds = seconds
        self._waiting: deque[Asked] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._traffic: Traffic | None = None
        self._pace = 0.0
        self._keepers = [Keeper(self, setting) for _ in range(processes)]

    @property
    def alive(self) -> int:
        """How many processes live."""
        return sum(keeper.alive for keeper in self._keepers)

    @property
    def broken(self) -> bool:
        """Whether none of the processes can be started at the moment."""
        return all(keeper.failures > 1 for keeper in self._keepers)

    @property
    def dead(self) -> bool:
        """Whether no process lives, though there were some."""
        return any(keeper.started for keeper in self._keepers) and not self.alive

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def follow(self, traffic: Traffic) -> None:
        """Have all processes load what `traffic` names; return when they have.

        Raises:
            VolantError: one of them cannot.
        """
        self._traffic = traffic
        for keeper in self._keepers:
            keeper.follow(traffic)

    def ask(self, traffic: Traffic, body: bytes, name: str = "") -> Future[Any]:
        """Queue a body; the future's result is what the process gave back for it.

        Raises:
            HttpError: 503: too many wait, or there is no process that could answer.
        """
        asked = Asked(traffic, body, name, time.monotonic() + self._seconds)
        with self._changed:
            if self._closed or len(self._waiting) >= self._most or self.broken:
                raise overloaded()
            self._traffic = traffic
            self._waiting.append(asked)
            self._changed.notify()
        return asked.future

    def withdraw(self, future: Future[Any]) -> bool:
        """Take a request back that still waits; whether it did."""
        with self._changed:
            found = next((one for one in self._waiting if one.future is future), None)
            if found is not None:
                self._waiting.remove(found)
        return found is not None

    def close(self) -> None:
        """Answer what waits, then end the processes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for keeper in self._keepers:
            keeper.join()

    # ------------------------------------------------------------ for the keepers

    def take(self) -> list[Asked] | Traffic | None:
        """Everything that waits and makes one batch; None once the pool is closed and all is answered.

        Where there is nothing to do for a while, it is what answers now: a process that ended is started anew.
        """
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed, LOOK_SECONDS)
                if batch := self._batch():
                    return batch
                if self._closed and not self._waiting:
                    return None
                if self._traffic is not None and not self._waiting:
                    return self._traffic

    def refuse_all(self) -> None:
        """Refuse what waits: nobody is there to answer it."""
        with self._changed:
            waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            if one.attempts > 0 or one.future.set_running_or_notify_cancel():
                one.future.set_exception(overloaded())

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the pool is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def _batch(self) -> list[Asked]:
        batch: list[Asked] = []
        size, most = 0, self._most_bytes()
        while self._waiting and len(batch) < MOST_BATCH:
            one = self._waiting[0]
            alone = one.attempts > 0 or (batch and one.traffic is not batch[0].traffic)
            if batch and (alone or size + len(one.body) > most):
                break
            self._waiting.popleft()
            if one.attempts == 0 and not one.future.set_running_or_notify_cancel():
                continue  # the client is gone
            if time.monotonic() >= one.until:
                one.future.set_exception(overloaded())
                continue
            batch.append(one)
            size += len(one.body)
            if one.attempts > 0:
                break
        return batch

    def _most_bytes(self) -> float:
        """How large a batch may be that takes no longer than it should."""
        pace = self._pace or (self._waiting[0].traffic.pace if self._waiting else 0.0)
        return min(BATCH_SECONDS / pace, MOST_BATCH_BYTES) if pace else MOST_BATCH_BYTES

    def _took(self, batch: Sequence[Asked], seconds: float) -> None:
        """Learn from a batch how long bytes take: at once where they took longer than thought, else by and by."""
        pace = seconds / max(sum(len(one.body) for one in batch), 1)
        self._pace = max(pace, (self._pace + pace) / 2)

    def again(self, batch: Sequence[Asked], *, expired: HttpError) -> None:
        """Have requests of a batch that came to nothing tried once more, those in time that were not tried twice."""
        now = time.monotonic()
        with self._changed:
            for one in reversed([one for one in batch if not one.future.done()]):
                one.attempts += 1
                if one.until <= now:
                    one.future.set_exception(expired)
                elif one.attempts >= MOST_ATTEMPTS or self._closed:
                    what, fix = "the process that predicts ended in the middle of it", "try again in a second"
                    one.future.set_exception(HttpError(503, "overloaded", what, fix=fix))
                else:
                    self._waiting.appendleft(one)
            self._changed.notify()

    def work(self, child: Child, batch: Sequence[Asked]) -> bool:
        """Have a process answer a batch; whether it is still of use afterwards."""
        message = {
            "do": self._do,
            "version": batch[0].traffic.version,
            "bodies": [one.body for one in batch],
            "names": [one.name for one in batch],
        }
        begun = time.monotonic()
        seconds = max(min(one.until for one in batch) - begun, 0.001)
        try:
            replies = child.ask(message, seconds)
        except TimeoutError:
            _logger.error("a prediction took longer than its deadline, its process is started anew")
            self.again(batch, expired=_too_late())
            return False
        except Gone:
            _logger.error("a process that predicts ended in the middle of a batch, it is started anew")
            self.again(batch, expired=_too_late())
            return False
        self._took(batch, time.monotonic() - begun)
        if isinstance(replies, dict):
            error = understood(replies)
            for one in batch:
                one.future.set_exception(error)
            return True
        for one, reply in zip(batch, replies, strict=True):
            one.future.set_result(reply)
        return True


def _too_late() -> HttpError:
    what, fix = "the answer took too long", "send fewer rows, or try again later"
    return HttpError(504, "deadline", what, fix=fix)
