"""Ctrl-C ends a command soon: fits in native code cannot be asked to stop, and what is on disk bears a hard end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from volant.cli.faults import INTERRUPTED, interrupted

GRACE_SECONDS = 2.0
"""How long a command may put its things in order after Ctrl-C; the second Ctrl-C ends it at once."""


@contextmanager
def stopped_soon(as_json: bool, close: Callable[[], None]) -> Iterator[None]:
    """Inside, Ctrl-C raises KeyboardInterrupt, and ends the process if that is not heeded in time.

    Elsewhere than in the main thread, and where somebody else looks after Ctrl-C, nothing changes.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    timers: list[threading.Timer] = []

    def stop(_: int, __: FrameType | None) -> None:
        if timers:
            _leave(as_json, close)
        timers.append(threading.Timer(GRACE_SECONDS, _leave, (as_json, close)))
        timers[0].daemon = True
        timers[0].start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for timer in timers:
            timer.cancel()


def _leave(as_json: bool, close: Callable[[], None]) -> None:
    """End the process as `kill -9` would, after the usual words."""
    with suppress(Exception):  # whatever it shows, it must not keep the process
        close()
        interrupted(as_json)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(INTERRUPTED)
