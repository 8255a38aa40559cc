"""Processes that end with the one that looks after them, whatever they are busy with."""

from __future__ import annotations

import os
import signal
import threading
import time

LOOK_SECONDS = 0.5
"""How often a process looks whether its parent still lives."""

LEFT_SECONDS = 5.0
"""How long a process may take to finish what was begun once its parent is gone."""


def end_with(parent: int) -> None:
    """From now on, this process ends soon after that one did.

    It is told to stop as its parent would have told it, and ends at once if it has not done so in time: nobody is left
    who would end it, and what it has acknowledged is safe from that.

    Args:
        parent: the id of the process that started this one, taken before it did: it may be gone already.
    """
    threading.Thread(target=_watch, args=(parent,), name="volant-orphan", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LEFT_SECONDS)
    os._exit(1)
