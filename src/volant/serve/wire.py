"""Responses as bytes of HTTP/1.1."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus

from volant.serve.http import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class _Dates:
    """The `Date` header, made anew once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._header = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._header = second, b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        return self._header


_dates = _Dates()


def head_of(response: Response, request_id: bytes, *, keep: bool, length: int | None) -> bytes:
    """Status line and headers; a body without a known length comes in chunks."""
    parts = [_LINES[response.status], _dates.now()]
    parts += [b"%b: %b\r\n" % header for header in response.heads(request_id)]
    parts.append(b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length)
    if not keep:
        parts.append(b"connection: close\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def chunk_of(piece: bytes) -> bytes:
    """One chunk of a body; nothing for an empty piece, which would end it."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
