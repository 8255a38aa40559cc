"""Errors as `application/problem+json` (RFC 9457). They never hold a path, a trace or user data."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from volant.errors import CODES, Refused, Trouble, VolantError

MEDIA_TYPE = b"application/problem+json"

STATUS: dict[str, int] = {
    "input-invalid": 422,
    "feedback-invalid": 422,
    "media-type": 415,
    "request-too-large": 413,
    "prediction-unknown": 404,
    "not-found": 404,
    "key-required": 401,
    "not-ready": 503,
    "no-release": 503,
    "overloaded": 503,
    "store-full": 503,
    "store-failed": 503,
    "store-unavailable": 503,
}
"""The status of an error that does not bring its own; every other is a 500."""

_PUBLIC = frozenset(STATUS) | {
    "request-invalid",
    "method-not-allowed",
    "prediction-failed",
    "too-slow",
    "deadline",
    "key-forbidden",
    "rate-exceeded",
    "quota-exceeded",
}
"""Errors whose words were written for callers. Of the others a caller learns no more than that there was one."""


class HttpError(VolantError):
    """An error that belongs to HTTP: it brings its status and headers."""

    def __init__(
        self,
        status: int,
        code: str,
        what: str,
        *,
        where: str | None = None,
        got: str | None = None,
        choices: Sequence[str] = (),
        fix: str | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        troubles: Sequence[Trouble] = (),
    ) -> None:
        super().__init__(what, code=code, where=where, got=got, choices=choices, fix=fix, troubles=troubles)
        self.status = status
        self.headers = tuple(headers)


def status_of(error: VolantError) -> int:
    """The HTTP status that an error is answered with."""
    if isinstance(error, HttpError):
        return error.status
    return STATUS.get(error.code, 409 if isinstance(error, Refused) else 500)


def headers_of(error: VolantError) -> list[tuple[bytes, bytes]]:
    """The headers that go with an error: its own, and when to try again after a 503."""
    own = list(error.headers) if isinstance(error, HttpError) else []
    if status_of(error) == 503:
        own.append((b"retry-after", b"1"))
    if status_of(error) == 401:
        own.append((b"www-authenticate", b"Bearer"))
    return own


def problem(error: VolantError, request_id: str) -> bytes:
    """The body of an error's answer."""
    status = status_of(error)
    code = error.code if error.code in _PUBLIC else "internal"
    body: dict[str, Any] = {
        "type": f"/errors/{code}",
        "title": CODES[code],
        "status": status,
        "detail": error.what if code == error.code else HTTPStatus(status).phrase,
        "code": code,
        "request_id": request_id,
        "troubles": error.record()["troubles"] if code == error.code else [],
    }
    return msgspec.json.encode(body)
