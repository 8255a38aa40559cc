"""Which pages from elsewhere may read what this service answers: none, unless the product file names them."""

from __future__ import annotations

from collections.abc import Sequence

from volant.serve.http import Header, Response

_EXPOSED = b"x-request-id, retry-after"
_TAKEN = b"authorization, content-type, content-encoding, x-request-id, idempotency-key, traceparent"
_AGE = b"600"


class Cors:
    """The origins that are allowed; `*` is any."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, origin: bytes) -> tuple[Header, ...]:
        """What an answer to a page of that origin carries; nothing where it may not read it."""
        if not origin or not self._origins & {origin, b"*"}:
            return ()
        allowed = b"*" if b"*" in self._origins else origin
        return (
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        )

    def preflight(self, methods: Sequence[str]) -> Response:
        """The answer to a browser that asks beforehand."""
        headers = (
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", _TAKEN),
            (b"access-control-max-age", _AGE),
        )
        return Response(b"", content_type=b"text/plain; charset=utf-8", headers=headers)
