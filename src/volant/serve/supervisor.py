"""Keeps the processes of a service running: starts them, starts anew what died or hangs, and ends them in order.

It opens no store, loads no model and answers nobody, so there is little that could bring it down.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from volant.errors import Failure, VolantError, place_of
from volant.serve.board import Board
from volant.serve.keeper import keep
from volant.serve.listener import DRAIN_SECONDS
from volant.serve.orphan import end_with
from volant.serve.process import Plan, work
from volant.serve.slot import keep_out_of_the_collector

STALL_SECONDS = 30.0
"""A process whose event loop gave no sign of life for so long is killed and started anew."""

QUICK_SECONDS = 5.0
MOST_QUICK = 5
"""A process that dies within `QUICK_SECONDS` of its start so many times in a row cannot be helped."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
_logger = logging.getLogger("volant.serve")


class Supervisor:
    """The parent of all processes of a service.

    Args:
        plan: what is served.
        sockets: one per process that answers. They stay open here, so that connections wait while one is started.
        announce: is called once every process answers.
    """

    def __init__(self, plan: Plan, sockets: Sequence[socket.socket], announce: Callable[[], None]) -> None:
        self._plan = plan
        self._sockets = sockets
        self._announce = announce
        self._board = Board(plan.workers)
        self._children: dict[int, int] = {}
        self._started: dict[int, float] = {}
        self._quick: dict[int, int] = {}
        self._again: dict[int, float] = {}
        self._waits_for = set(range(plan.workers))
        self._stopping = False
        self._hopeless = False
        self._told, self._tell = os.pipe()

    def run(self) -> None:
        """Keep the processes running until SIGTERM or SIGINT comes; they then finish what was begun.

        Raises:
            Failure: code `internal`: a process dies again and again.
        """
        keep_out_of_the_collector()  # children share what was loaded: whoever walks through it copies it
        with _signals() as signalled:
            for number in range(self._plan.workers + 1):
                self._start(number)
            while not self._stopping:
                self._once(signalled)
            self._end(signalled)
        if self._hopeless:
            fix = "look at what it said before, and at the memory of this machine"
            raise Failure("a process of the service dies again and again", code="internal", fix=fix)

    def _once(self, signalled: int) -> None:
        ready, _, _ = select.select([signalled, self._told], [], [], 0.5)
        if self._told in ready:
            self._hear(os.read(self._told, 64))
        if signalled in ready:
            self._react(os.read(signalled, 64))
        self._bury()
        self._kill_stalled()
        for number in [number for number, when in self._again.items() if time.monotonic() >= when]:
            del self._again[number]
            self._start(number)

    def _hear(self, numbers: bytes) -> None:
        """Processes say that they answer."""
        if self._waits_for:
            self._waits_for -= set(numbers)
            if not self._waits_for:
                self._announce()

    def _react(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._stopping = True
        elif signal.SIGHUP in numbers and self._plan.renew is not None:
            try:
                self._plan.renew()
            except VolantError as error:  # whoever is served by the present one goes on to be
                _logger.error("the certificate was not read again: %s", error.what)
                return
            for pid, number in self._children.items():
                if number < self._plan.workers:
                    os.kill(pid, signal.SIGHUP)

    # ------------------------------------------------------------ children

    def _start(self, number: int) -> None:
        """Start the process of that number; the last one is the keeper."""
        self._started[number] = time.monotonic()
        own = os.getpid()
        pid = os.fork()
        if pid:
            self._children[pid] = number
            return
        status = 1
        try:
            _forget_signals()
            end_with(own)
            self._child(number)
            status = 0
        except BaseException as error:  # nothing of the parent's may run in the child
            _logger.error("process %d of the service failed: %s", number, place_of(error))
        finally:
            os._exit(status)

    def _child(self, number: int) -> None:
        def ready() -> None:
            os.write(self._tell, bytes([number]))

        for place, other in enumerate(self._sockets):
            if place != number:
                other.close()
        if number == self._plan.workers:
            keep(self._plan)
            return
        work(self._plan, number, self._sockets[number], self._board, ready)

    def _bury(self) -> None:
        """See who died, and have them started anew: at once the first time, later and later after that."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            number = self._children.pop(pid, None)
            if number is not None and not self._stopping:
                self._mourn(number, status)

    def _mourn(self, number: int, status: int) -> None:
        lived = time.monotonic() - self._started[number]
        quick = self._quick[number] = self._quick.get(number, 0) + 1 if lived < QUICK_SECONDS else 0
        _logger.error("process %d of the service ended (%s), it is started anew", number, _how(status))
        if quick > MOST_QUICK:
            self._hopeless = self._stopping = True
        if number < self._plan.workers:
            self._board.write(number, 0, 0)
        self._again[number] = time.monotonic() + (0.0 if quick <= 1 else 0.2 * 2**quick)

    def _kill_stalled(self) -> None:
        for pid, number in self._children.items():
            if number < self._plan.workers and self._board.silent(number) > STALL_SECONDS:
                _logger.error("process %d of the service hangs", number)
                self._board.write(number, 0, 0)
                os.kill(pid, signal.SIGKILL)

    # ------------------------------------------------------------ the end

    def _end(self, signalled: int) -> None:
        """End those who answer, then the keeper, who brings in what they logged last."""
        for sock in self._sockets:
            sock.close()
        self._end_those(lambda number: number < self._plan.workers, signalled)
        self._end_those(lambda number: True, signalled)
        os.close(self._told)
        os.close(self._tell)

    def _end_those(self, meant: Callable[[int], bool], signalled: int) -> None:
        until = time.monotonic() + DRAIN_SECONDS + 5.0
        for pid, number in self._children.items():
            if meant(number):
                os.kill(pid, signal.SIGTERM)
        while any(meant(number) for number in self._children.values()):
            ready, _, _ = select.select([signalled], [], [], 0.2)
            again = ready and {signal.SIGTERM, signal.SIGINT} & set(os.read(signalled, 64))
            if again or time.monotonic() > until:
                for pid in self._children:
                    os.kill(pid, signal.SIGKILL)
            self._bury()


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """A descriptor from which the numbers of signals can be read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    woken = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"
