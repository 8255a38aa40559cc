"""The little HTTP that the service needs: a request, a response, and a table of routes.

Nothing here knows how bytes come and go: `connection.py` speaks HTTP/1.1 over a socket, `asgi.py` serves where
another server does. A framework would cost more time per request than the rest of the service;
`docs/explanation/serving.md` has the figures.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from volant.core.ids import uuid7
from volant.serve.problems import HttpError

if TYPE_CHECKING:
    from volant.serve.answering import Times
    from volant.serve.keys import Holder

Header = tuple[bytes, bytes]

JSON = b"application/json"
LONGEST_PATH = 2048
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
ALWAYS: tuple[Header, ...] = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Headers that every response has."""


@dataclass(frozen=True)
class Response:
    """What is sent back. `content_type` and `headers` are bytes, as they go over the wire.

    A body that is made piece by piece is an iterator of its pieces; it is sent in chunks.
    """

    body: bytes | AsyncIterator[bytes]
    status: int = 200
    content_type: bytes = JSON
    headers: Sequence[Header] = ()

    def heads(self, request_id: bytes) -> list[Header]:
        """All headers but those that frame the body."""
        return [(b"content-type", self.content_type), (b"x-request-id", request_id), *ALWAYS, *self.headers]


class Request:
    """A request. Its body is whole once a handler sees it, and never longer than its route takes.

    Args:
        target: path and query as they were sent.
        headers: by lower-case name; of a repeated one the last.
    """

    def __init__(self, method: str, target: bytes, headers: Mapping[bytes, bytes]) -> None:
        path, _, query = target.partition(b"?")
        self.method = method
        self.path = path.decode("latin-1")
        self.query = query
        self.headers = headers
        self.body = b""
        self._id = b""
        self.holder: Holder | None = None
        """Who asks, once their key was looked at."""
        self.route: Route | None = None
        """Who answers, once that was found."""
        self.span: Any = None
        """The span of the request, where requests are traced."""
        self.times: tuple[Times, ...] = ()
        """When the work on it was done, where requests are traced."""

    @property
    def id(self) -> bytes:
        """The caller's `X-Request-Id` where it is sane (letters, digits and ._:-, at most 128), else a new one."""
        if not self._id:
            given = self.headers.get(b"x-request-id")
            self._id = given if given is not None and _SANE_ID.fullmatch(given) else uuid7().encode()
        return self._id

    def too_long(self) -> bool:
        """Whether path and query are longer than any that the service has."""
        return len(self.path) + len(self.query) > LONGEST_PATH


class Pending:
    """A response that comes before the event loop looks at its sockets again. Who waits is called; no task is needed.

    `shape` makes the response of what was found, which may be an error.
    """

    __slots__ = ("_response", "_told", "shape")

    def __init__(self) -> None:
        self.shape: Callable[[Response | Exception], Response] = _shapeless
        self._told: Callable[[Response], None] | None = None
        self._response: Response | None = None

    def then(self, told: Callable[[Response], None]) -> None:
        """Call this with the response, at once where it is there."""
        self._told = told
        if self._response is not None:
            told(self._response)

    def tell(self, found: Response | Exception) -> None:
        """This is what was found."""
        self._response = self.shape(found)
        if self._told is not None:
            self._told(self._response)

    def __await__(self) -> Generator[Any, None, Response]:
        waiting: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.then(lambda response: None if waiting.done() else waiting.set_result(response))
        return waiting.__await__()


def _shapeless(found: Response | Exception) -> Response:
    if isinstance(found, Exception):
        raise found
    return found


Handler = Callable[[Request], Response | Awaitable[Response]]
"""Answers at once where that takes no time worth mentioning, else promises to."""


@dataclass(frozen=True)
class Takes:
    """The body that a route takes: its media types, and how many bytes of it."""

    most: int
    media: tuple[bytes, ...] = (JSON,)

    def refuse(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse by its headers a body that the route does not take.

        Raises:
            HttpError: 415 for another media type or coding, 413 beyond the cap.
        """
        coding = headers.get(b"content-encoding", b"identity").lower()
        if coding not in (b"identity", b"gzip"):
            choices = ["identity", "gzip"]
            raise HttpError(
                415, "media-type", "the body is compressed in an unknown way", where="Content-Encoding", choices=choices
            )
        given = headers.get(b"content-type", b"")
        if given != JSON and not self._fits(media_type(given)):
            raise self._other_media_type()
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > self.most:
            raise self.too_large()

    def _fits(self, kind: bytes) -> bool:
        """Whether a media type is one of those that are taken; `image/*` takes all that begin so."""
        ranges = (media[:-1] for media in self.media if media.endswith(b"/*"))
        return kind in self.media or any(kind.startswith(begin) for begin in ranges)

    def _other_media_type(self) -> HttpError:
        choices = [media.decode() for media in self.media]
        what = f"the body must be {' or '.join(choices)}, in UTF-8"
        accept = [(b"accept", b", ".join(self.media))]
        return HttpError(415, "media-type", what, where="Content-Type", choices=choices, headers=accept)

    def too_large(self) -> HttpError:
        """The refusal of a longer body."""
        fix = "send fewer rows per request, or raise serve.max_body_mb"
        return HttpError(413, "request-too-large", f"the body is larger than {self.most} bytes", where="body", fix=fix)


def media_type(given: bytes) -> bytes:
    """The media type of a `Content-Type`, without parameters; nothing where it is a text in another coding."""
    kind, _, rest = given.lower().partition(b";")
    parameter, _, value = rest.strip().partition(b"=")
    foreign = parameter.strip() == b"charset" and value.strip().strip(b'"') not in (b"utf-8", b"utf8")
    return b"" if foreign else kind.strip()


@dataclass(frozen=True)
class Route:
    """Who answers a path, what it is called in figures, what body it takes, and who may come in.

    `admit` is called before the body is read; it raises where the caller may not.
    """

    handler: Handler
    name: str
    takes: Takes | None = None
    admit: Callable[[Request], None] | None = None


@dataclass
class Routes:
    """Routes by path and method. A path is exact, a tree is all below it; `GET` also answers `HEAD`."""

    table: dict[str, dict[str, Route]] = field(default_factory=dict)
    trees: dict[str, dict[str, Route]] = field(default_factory=dict)

    def add(self, method: str, path: str, route: Route) -> None:
        """A route of one path."""
        self._add(self.table.setdefault(path, {}), method, route)

    def add_tree(self, method: str, prefix: str, route: Route) -> None:
        """A route of every path that begins with `prefix`."""
        self._add(self.trees.setdefault(prefix, {}), method, route)

    @staticmethod
    def _add(methods: dict[str, Route], method: str, route: Route) -> None:
        methods[method] = route
        if method == "GET":
            methods["HEAD"] = route

    def methods(self, path: str) -> Mapping[str, Route]:
        """The methods that a path takes."""
        found = self.table.get(path)
        if found is not None:
            return found
        return next((methods for tree, methods in self.trees.items() if path.startswith(tree)), {})

    def name(self, path: str) -> str:
        """The path as figures name it: that of its route, or `other`."""
        return next((route.name for route in self.methods(path).values()), "other")

    def find(self, request: Request) -> Route:
        """The route of a request.

        Raises:
            HttpError: 414, 404, or 405 with `Allow`.
        """
        methods = self.methods(request.path)
        route = methods.get(request.method)
        if route is not None:
            return route
        if request.too_long():
            raise HttpError(414, "request-too-large", f"the address is longer than {LONGEST_PATH} bytes", where="path")
        if not methods:
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
