"""Responses as bytes of HTTP/1.1."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus

from volant.serve.http import ALWAYS, Header, Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class _Starts:
    """Status line, `Date` and what else is the same for many responses, made anew once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._made: dict[tuple[int, bytes], bytes] = {}

    def of(self, status: int, content_type: bytes) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._made = second, {}
        start = self._made.get((status, content_type))
        if start is None:
            date = formatdate(second, usegmt=True).encode()
            lines = [(b"date", date), (b"content-type", content_type), *ALWAYS]
            start = self._made[status, content_type] = _LINES[status] + b"".join(map(_line, lines))
        return start


def _line(header: Header) -> bytes:
    return b"%b: %b\r\n" % header


_starts = _Starts()


def head_of(response: Response, request_id: bytes, *, keep: bool, length: int | None) -> bytes:
    """Status line and headers; a body without a known length comes in chunks."""
    start = _starts.of(response.status, response.content_type)
    own = b"".join(map(_line, response.headers)) if response.headers else b""
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    close = b"" if keep else b"connection: close\r\n"
    return b"%bx-request-id: %b\r\n%b%b\r\n%b\r\n" % (start, request_id, own, framing, close)


def chunk_of(piece: bytes) -> bytes:
    """One chunk of a body; nothing for an empty piece, which would end it."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
