"""Taking a request's body in: piece by piece, never beyond what its route takes, unpacked where it was packed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from volant.serve.http import Takes
from volant.serve.problems import HttpError

MOST_PIECES = 4096
"""Pieces that a body may come in, if they are small on average. Whoever sends single bytes is refused."""

SMALL_PIECE = 256
"""Bytes that a piece has at least on average where there are many."""

_GZIP = 31


class Intake:
    """Collects the body of one request."""

    def __init__(self, takes: Takes, headers: Mapping[bytes, bytes]) -> None:
        self.size = 0
        self.takes = takes
        self.packed = headers.get(b"content-encoding", b"").lower() == b"gzip"
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Take one more piece.

        Raises:
            HttpError: 413: too many bytes, or too many pieces.
        """
        if not piece:
            return
        self.size += len(piece)
        if self.size > self.takes.most:
            raise self.takes.too_large()
        self._pieces.append(piece)
        count = len(self._pieces)
        if count > MOST_PIECES and self.size < count * SMALL_PIECE:
            what = "the body comes in too many small pieces"
            raise HttpError(413, "request-too-large", what, where="body", fix="send larger chunks")

    def whole(self) -> bytes:
        """The whole body, unpacked.

        Raises:
            HttpError: 400 for an empty body or one that is not what its coding says, 413 where it grows too large.
        """
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        body = self._unpacked(body) if self.packed and body else body
        if not body:
            raise HttpError(
                400, "request-invalid", "the body is empty", where="body", fix="send a JSON object, or a file"
            )
        return body

    def _unpacked(self, body: bytes) -> bytes:
        unpacking = zlib.decompressobj(_GZIP)
        try:
            plain = unpacking.decompress(body, self.takes.most + 1)
        except zlib.error:
            raise _not_gzip() from None
        if len(plain) > self.takes.most:
            raise self.takes.too_large()
        if not unpacking.eof or unpacking.unused_data:
            raise _not_gzip()
        return plain


def _not_gzip() -> HttpError:
    fix = "send one whole gzip stream"
    return HttpError(400, "request-invalid", "the body is not packed by gzip as its header says", where="body", fix=fix)
