"""Keeps one process of a pool alive."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from volant.errors import VolantError, place_of
from volant.serve.child import Child, Setting
from volant.serve.elsewhere import overloaded
from volant.serve.link import Gone
from volant.serve.traffic import Traffic

if TYPE_CHECKING:
    from volant.serve.pool import Asked, Pool

RESTART_SECONDS = (0.0, 0.5, 2.0, 5.0, 15.0)
"""How long to wait before a process is started anew, after so many failures in a row."""

_logger = logging.getLogger("volant.serve")


class Keeper:
    """Keeps one process: starts it when it is needed, gives it batches, starts it anew when it ends."""

    def __init__(self, pool: Pool, setting: Setting) -> None:
        self.failures = 0
        self.started = False
        self._pool = pool
        self._setting = setting
        self._child: Child | None = None
        self._again = 0.0
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="volant-pool", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        child = self._child
        return child is not None and child.alive

    def follow(self, traffic: Traffic) -> None:
        """Have the process load what answers from now on; it is started where there is none.

        Raises:
            VolantError: it cannot.
        """
        with self._turn:
            if (error := self._prepare(traffic)) is not None:
                raise error

    def join(self) -> None:
        """Return when the process has ended."""
        self._thread.join()
        with self._turn:
            if self._child is not None:
                self._child.end()
                self._child = None

    def _run(self) -> None:
        while (found := self._next()) is not None:
            with self._turn:
                if isinstance(found, list):
                    self._answer_or_refuse(found)
                elif self.started and not self.alive:
                    self._prepare(found)

    def _next(self) -> list[Asked] | Traffic | None:
        """What to do next; a process that could not be started is not tried again at once."""
        if not self.alive and (wait := self._again - time.monotonic()) > 0:
            self._pool.pause(wait)
        return self._pool.take()

    def _answer_or_refuse(self, batch: list[Asked]) -> None:
        """Answer a batch; whatever goes wrong, nobody waits for ever and this keeper goes on."""
        try:
            self._answer(batch)
        except Exception as error:
            _logger.error("a batch failed: %s", place_of(error))
            self._drop()
            self._pool.again(batch, expired=overloaded())

    def _answer(self, batch: list[Asked]) -> None:
        traffic = batch[0].traffic
        if self._prepare(traffic) is not None or self._child is None:
            self._pool.again(batch, expired=overloaded())
            return
        if not self._pool.work(self._child, batch):
            self._drop()
            self._prepare(traffic)

    def _prepare(self, traffic: Traffic) -> VolantError | None:
        """Have a process that can answer as `traffic` says; what keeps it from that, where there is none."""
        if self._child is not None and not self._child.alive:
            self._drop()
        self.started = True
        try:
            if self._child is None:
                self._child = Child(self._setting)
            self._child.follow(traffic)
        except (Gone, TimeoutError, OSError) as error:
            _logger.error("a process that predicts cannot be started: %s", type(error).__name__)
            self._drop()
            return overloaded()
        except VolantError as error:
            self._drop()
            return error
        self.failures = 0
        return None

    def _drop(self) -> None:
        self.failures += 1
        self._again = time.monotonic() + RESTART_SECONDS[min(self.failures, len(RESTART_SECONDS)) - 1]
        if self._child is not None:
            self._child.kill()
            self._child = None
        if self._pool.broken:
            self._pool.refuse_all()
