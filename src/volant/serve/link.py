"""What processes of a service say to each other: messages of plain data over a pair of sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from volant.errors import CODES, Trouble, VolantError
from volant.serve.problems import HttpError, status_of

_LENGTH = struct.Struct("<Q")
_encoder = msgspec.msgpack.Encoder()


class Gone(Exception):
    """The other side is gone."""


class Link:
    """One end of the pair. `receive` waits at most as long as it is told to."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def send(self, message: Any, seconds: float | None = None) -> None:
        """Send one message.

        Raises:
            Gone: nobody is there to receive it.
            TimeoutError: it was not received in that time.
        """
        data = _encoder.encode(message)
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(_LENGTH.pack(len(data)) + data)
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone from error

    def receive(self, seconds: float | None = None) -> Any:
        """The next message.

        Raises:
            Gone: there will be none.
            TimeoutError: there was none in that time.
        """
        self._socket.settimeout(seconds)
        try:
            size = _LENGTH.unpack(self._exactly(_LENGTH.size))[0]
            return msgspec.msgpack.decode(self._exactly(size))
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone from error
        finally:
            self._socket.settimeout(None)

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view, read = memoryview(data), 0
        while read < size:
            count = self._socket.recv_into(view[read:])
            if not count:
                raise Gone
            read += count
        return data

    def close(self) -> None:
        self._socket.close()


def told(error: VolantError) -> dict[str, Any]:
    """An error as plain data."""
    return {
        "status": status_of(error),
        "code": error.code,
        "what": error.what,
        "troubles": [asdict(trouble) for trouble in error.troubles],
    }


def understood(record: Mapping[str, Any]) -> HttpError:
    """The error that was told."""
    code = record["code"] if record["code"] in CODES else "internal"
    return HttpError(record["status"], code, record["what"], troubles=_troubles(record["troubles"]))


def _troubles(listed: Sequence[Mapping[str, Any]]) -> tuple[Trouble, ...]:
    return tuple(Trouble(**{**one, "choices": tuple(one["choices"])}) for one in listed)
