"""A process that predicts, seen from the one that started it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from volant.serve.link import Gone, Link, understood
from volant.serve.traffic import Traffic

LOAD_SECONDS = 120.0
"""How long loading releases may take."""

END_SECONDS = 10.0


@dataclass(frozen=True)
class Setting:
    """How a process is set up: whose releases, with how many threads, with how much memory (0: all there is).

    `traced` has it tell when it did what.
    """

    folder: Path
    threads: int = 1
    memory_mb: float = 0.0
    traced: bool = False


class Child:
    """A process, from its start to its end."""

    def __init__(self, setting: Setting) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "volant.serve.modelprocess", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._link = Link(ours)
        self._known: dict[int, Traffic] = {}
        self._link.send({**asdict(setting), "folder": str(setting.folder)})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def follow(self, traffic: Traffic) -> None:
        """Have it load the releases that answer.

        Raises:
            HttpError: it cannot load them.
            Gone: it ended.
            TimeoutError: it takes too long.
        """
        if traffic.version in self._known:
            return
        arms = [
            (arm.slot.release.digest, arm.deployment, arm.policy, arm.share)
            for arm in (traffic.champion, *traffic.arms)
        ]
        reply = self._asked({"do": "follow", "version": traffic.version, "arms": arms}, LOAD_SECONDS)
        if isinstance(reply, Mapping):
            raise understood(reply)
        self._known = {**dict(list(self._known.items())[-2:]), traffic.version: traffic}

    def ask(self, message: Mapping[str, Any], seconds: float) -> Any:
        """Its reply to a message.

        Raises:
            Gone: it ended.
            TimeoutError: it takes too long.
        """
        return self._asked(message, seconds)

    def _asked(self, message: Mapping[str, Any], seconds: float) -> Any:
        self._link.send(message, seconds)
        return self._link.receive(seconds)

    def end(self) -> None:
        """End it in order: it closes its log."""
        self._link.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, whatever it does."""
        with contextlib.suppress(Gone):
            self._link.close()
        self._process.kill()
        self._process.wait()
