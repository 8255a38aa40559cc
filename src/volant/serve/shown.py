"""Showing requests to shadows, without ever waiting for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import msgspec

MOST_BYTES = 128 * 1024
"""Bytes of a request that a shadow is shown; larger ones are dropped."""

_encoder = msgspec.msgpack.Encoder()


def socket_of(folder: Path, product: str) -> Path:
    """Where the shadow of a product listens."""
    return folder / f"{product[:40]}.shadow"


class Shown:
    """Shows requests to the shadow, without ever waiting for it."""

    def __init__(self, path: Path) -> None:
        self.dropped = 0
        self.sent = 0
        self._path = reachable(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def show(self, ids: Sequence[str], body: bytes) -> None:
        """Show a request that was answered under these ids, or drop it."""
        if len(body) > MOST_BYTES:
            self.dropped += 1
            return
        try:
            self._socket.sendto(_encoder.encode((ids, body)), self._path)
            self.sent += 1
        except OSError:
            self.dropped += 1

    def close(self) -> None:
        self._socket.close()


def reachable(path: Path) -> str:
    """A path as sockets take it: they have room for about a hundred characters, which a deep folder exceeds."""
    if len(os.fsencode(path)) < 100 or not Path("/proc/self/fd").is_dir():
        return str(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{path.name}"
