"""The little HTTP that the service needs: a request, a response, and a table of routes.

A framework would cost more time per request than the rest of the service; `docs/explanation/serving.md`
has the figures.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from volant.core.ids import uuid7
from volant.serve.problems import HttpError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json"
LONGEST_PATH = 2048
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_ALWAYS: tuple[Header, ...] = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class ClientGone(Exception):
    """The client went away before its request was complete; nobody is left to answer."""


@dataclass(frozen=True)
class Response:
    """What is sent back. `content_type` and `headers` are bytes, as they go over the wire."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: Sequence[Header] = ()

    async def send(self, send: Send, request_id: bytes) -> None:
        """Send it, with the headers that every response has."""
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-request-id", request_id),
            *_ALWAYS,
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Request:
    """A request whose body is read on demand, and never beyond a cap."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._scope = scope
        self._receive = receive

    @cached_property
    def headers(self) -> Mapping[bytes, bytes]:
        """Headers by lower-case name; of a repeated one the last."""
        return dict(self._scope["headers"])

    @cached_property
    def id(self) -> bytes:
        """The caller's `X-Request-Id` where it is sane (letters, digits and ._:-, at most 128), else a new one."""
        given = self.headers.get(b"x-request-id", b"")
        return given if _SANE_ID.fullmatch(given) else uuid7().encode()

    def too_long(self) -> bool:
        """Whether path and query are longer than any that the service has."""
        return len(self._scope.get("raw_path") or b"") + len(self._scope.get("query_string") or b"") > LONGEST_PATH

    async def json_body(self, most: int) -> bytes:
        """The body of a JSON request, at most `most` bytes of it.

        Raises:
            HttpError: 415 for another media type, 413 beyond the cap, 400 for an empty body.
            ClientGone: the client left before the body was complete.
        """
        self._refuse_media_type()
        self._refuse_announced_size(most)
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            chunks.append(chunk)
            more = message.get("more_body", False)
        if not size:
            raise HttpError(400, "request-invalid", "the body is empty", where="body", fix="send a JSON object")
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _refuse_media_type(self) -> None:
        encoding = self.headers.get(b"content-encoding", b"identity")
        if encoding.lower() != b"identity":
            what = "the body must not be compressed"
            raise HttpError(415, "media-type", what, where="Content-Encoding", choices=["identity"])
        given = self.headers.get(b"content-type", b"")
        if given != JSON and not _is_json(given):
            what, accept = "the body must be JSON in UTF-8", [(b"accept", JSON)]
            raise HttpError(415, "media-type", what, where="Content-Type", choices=["application/json"], headers=accept)

    def _refuse_announced_size(self, most: int) -> None:
        length = self.headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > most:
            raise _too_large(most)


def _is_json(media_type: bytes) -> bool:
    kind, _, rest = media_type.lower().partition(b";")
    charset = rest.strip().removeprefix(b"charset=").strip(b'"')
    return kind.strip() == JSON and charset in (b"", b"utf-8")


def _too_large(most: int) -> HttpError:
    return HttpError(
        413,
        "request-too-large",
        f"the body is larger than {most} bytes",
        where="body",
        fix="send fewer rows per request, or raise serve.max_body_mb",
        headers=[(b"connection", b"close")],
    )


Handler = Callable[[Request], Awaitable[Response]]


@dataclass
class Routes:
    """Handlers by path and method. A path is exact, a tree is all below it; `GET` also answers `HEAD`."""

    table: dict[str, dict[str, Handler]] = field(default_factory=dict)
    trees: dict[str, dict[str, Handler]] = field(default_factory=dict)

    def add(self, method: str, path: str, handler: Handler) -> None:
        methods = self.table.setdefault(path, {})
        methods[method] = handler
        if method == "GET":
            methods["HEAD"] = handler

    def add_tree(self, method: str, prefix: str, handler: Handler) -> None:
        """A handler for every path that begins with `prefix`."""
        self.add(method, prefix, handler)
        self.trees[prefix] = self.table.pop(prefix)

    def name(self, path: str) -> str:
        """The path as figures name it: one of the table, or `other`."""
        return path if path in self.table else next((t for t in self.trees if path.startswith(t)), "other")

    def find(self, request: Request) -> Handler:
        """The handler of a request.

        Raises:
            HttpError: 414, 404, or 405 with `Allow`.
        """
        methods = self.table.get(request.path)
        if methods is None:
            methods = self.trees.get(self.name(request.path))
        if methods is not None and request.method in methods:
            return methods[request.method]
        if request.too_long():
            raise HttpError(414, "request-too-large", f"the address is longer than {LONGEST_PATH} bytes", where="path")
        if methods is None:
            raise HttpError(404, "not-found", "there is no such path", where="path", fix="GET /docs lists the paths")
        allowed = sorted(methods)
        raise HttpError(
            405,
            "method-not-allowed",
            "the path does not take this method",
            where="method",
            choices=allowed,
            headers=[(b"allow", ", ".join(allowed).encode())],
        )
