"""HTTP/1.1 over one connection: parsed by llhttp, with a deadline for everything that a client may take its time for.

What cannot be answered is refused in the same form as everything else, and where the rest of the bytes cannot be
trusted the connection is closed behind it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import httptools

from volant.errors import Failure, VolantError, place_of
from volant.serve.http import Request
from volant.serve.intake import Intake
from volant.serve.outbox import Exchange, Outbox
from volant.serve.problems import HttpError
from volant.serve.wire import CONTINUE

if TYPE_CHECKING:
    from volant.serve.listener import Listener

IDLE, HEAD, BODY, CLOSING = range(4)
"""What a connection waits for from its client: a request, the rest of its head, of its body, the end."""

MOST_HEAD = 16 * 1024
MOST_HEADERS = 100
MOST_TARGET = 8 * 1024
ONCE = frozenset(
    (b"host", b"transfer-encoding", b"content-type", b"content-encoding", b"authorization", b"idempotency-key")
)
"""Headers of which a second one would be read by some and not by others, a proxy before the service among them."""

SWALLOWED = 64 * 1024
"""A refused body that is announced to be no longer is read to its end, so that the connection can go on."""

MOST_FRAMING = 256 * 1024
"""Bytes that may come around a body: sizes of chunks and what is said beside them, trailers."""

LINGER_BYTES = 16 * 1024 * 1024
"""Bytes read and thrown away after a refusal, so that the client gets to read it."""

_logger = logging.getLogger("volant.serve")


class Connection(asyncio.Protocol):
    """One client's connection. It is made by a `Listener`, which looks after its deadlines.

    `phase` is what it waits for, since the monotonic time `since`; `received` are the bytes of the request that
    arrives.
    """

    outbox: Outbox

    def __init__(self, listener: Listener) -> None:
        self.phase = IDLE
        self.since = 0.0
        self.received = 0
        self._listener = listener
        self._app = listener.app
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._arriving: Exchange | None = None
        self._deaf = False
        self._ended = False
        self._begun = 0
        self._forget_head()

    def _forget_head(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_size = 0
        self._count = 0
        self._size = 0
        self._twice = b""
        self._in_head = True

    # ------------------------------------------------------------ what the socket says

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.outbox = Outbox(self._listener, transport, self._answered)
        self.since = time.monotonic()
        if not self._listener.enter(self):
            self.refuse(HttpError(503, "overloaded", "too many connections are open", fix="try again in a second"))

    def connection_lost(self, error: Exception | None) -> None:
        self.phase = CLOSING
        self._deaf = True
        self._listener.leave(self)
        self.outbox.close()

    def pause_writing(self) -> None:
        self.outbox.block()

    def resume_writing(self) -> None:
        self.outbox.unblock()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self._deaf:
            if self.received > LINGER_BYTES:
                self._transport.abort()
            return
        idle = self.phase == IDLE
        if idle:
            self.phase, self.since = HEAD, time.monotonic()
        self._begun = 0
        self._feed(data)
        if self._in_head and self._begun <= idle:  # else it began somewhere within these bytes
            self._head_size += len(data)
            if self._head_size > MOST_HEAD:
                self._refuse_rest(_too_large(431, "the head of the request is too large", "headers"))
        elif self.received > SWALLOWED and self.phase == BODY:
            self._bound_body()

    def _bound_body(self) -> None:
        """Refuse what brings more framing than body, and what there is no room for."""
        intake = None if self._arriving is None else self._arriving.intake
        if self.received > MOST_FRAMING + 2 * (0 if intake is None else intake.size):
            self._refuse_rest(_too_large(413, "there is more around the body than in it", "body"))
        elif intake is not None and not self._listener.has_room(intake.takes.most):
            what = "too many large bodies are arriving"
            self._refuse_rest(HttpError(503, "overloaded", what, where="body", fix="try again in a second"))

    @property
    def held(self) -> int:
        """Bytes of bodies that wait here, the one that arrives among them."""
        intake = None if self._arriving is None else self._arriving.intake
        return self.outbox.held + (0 if intake is None else intake.size)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # what follows is in another language; the request itself is answered
        except httptools.HttpParserCallbackError as error:
            _logger.error("a request failed: %s", place_of(error.__context__ or error))
            self._refuse_rest(Failure("something went wrong inside volant", code="internal"))
        except httptools.HttpParserError:
            what, fix = "this is not a request in HTTP/1.1", "use an HTTP client"
            self._refuse_rest(HttpError(400, "request-invalid", what, fix=fix))

    def eof_received(self) -> bool:
        """The client sends no more. What it sent wholly is still answered."""
        self._ended = True
        if self.phase in (HEAD, BODY):
            what = "the request ended before it was whole"
            self._refuse_rest(HttpError(400, "request-invalid", what, where="body", fix="send it whole"))
        self._deaf = True
        self.outbox.end_after_last()
        return not self.outbox.empty and bool(self._transport.can_write_eof())

    # ------------------------------------------------------------ what the parser says

    def on_message_begin(self) -> None:
        self._forget_head()
        self._begun += 1
        if self.phase == IDLE:  # it begins within the bytes that ended another one
            self.phase, self.since = HEAD, time.monotonic()

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > MOST_TARGET:
            self._refuse_rest(_too_large(414, f"the address is longer than {MOST_TARGET} bytes", "path"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer, which says nothing that is wanted
        self._count += 1
        self._size += len(name) + len(value)
        if self._count > MOST_HEADERS or self._size > MOST_HEAD:
            what = f"there are more than {MOST_HEADERS} headers, or {MOST_HEAD} bytes of them"
            self._refuse_rest(_too_large(431, what, "headers"))
        name = name.lower()
        if name in ONCE and name in self._headers:
            self._twice = self._twice or name
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._deaf:
            return
        request = Request(self._parser.get_method().decode("latin-1"), plain_target(self._target), self._headers)
        keep = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        exchange = self._arriving = Exchange(request, time.perf_counter(), keep)
        self.phase, self.since = BODY, time.monotonic()
        if (strange := self._strangeness()) is not None:
            self.refuse(strange)
            return
        try:
            exchange.route = self._app.open(request)
            if exchange.route.takes is not None:
                exchange.intake = Intake(exchange.route.takes, self._headers)
        except VolantError as error:
            self._refuse_by_head(exchange, error)
        else:
            if self.outbox.empty and self._headers.get(b"expect", b"").lower() == b"100-continue":
                self._transport.write(CONTINUE)

    def _strangeness(self) -> HttpError | None:
        """What is wrong with a head that the parser lets pass."""
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            return HttpError(400, "request-invalid", "this is not a request in HTTP/1.1", fix="use an HTTP client")
        if self._twice:
            where = self._twice.decode().title()
            return HttpError(400, "request-invalid", "a header stands twice", where=where, fix="send it once")
        coding = self._headers.get(b"transfer-encoding")
        if coding is not None and (version == "1.0" or coding.lower() != b"chunked"):  # 1.0 knows no codings
            return HttpError(400, "request-invalid", "the body comes in an unknown coding", where="Transfer-Encoding")
        if version == "1.1" and not self._headers.get(b"host"):
            return HttpError(400, "request-invalid", "a request needs exactly one Host", where="Host")
        return None

    def _refuse_by_head(self, exchange: Exchange, error: VolantError) -> None:
        """A short body that is not wanted is swallowed; behind a long one the connection ends."""
        length = self._headers.get(b"content-length", b"0")
        if b"transfer-encoding" in self._headers or int(length) > SWALLOWED:
            self._refuse_rest(error)
        else:
            exchange.error = error

    def on_body(self, body: bytes) -> None:
        exchange = self._arriving
        if exchange is None or self._deaf or exchange.error is not None:
            return
        try:
            if exchange.intake is not None:
                exchange.intake.add(body)
            elif self.received > SWALLOWED:
                raise _too_large(413, "the path takes no body", "body")
        except VolantError as error:
            self._refuse_rest(error)

    def on_message_complete(self) -> None:
        exchange, self._arriving = self._arriving, None
        if exchange is None or self._deaf:
            return
        self.phase, self.since = IDLE, time.monotonic()
        self.received = 0
        self.outbox.add(exchange)

    # ------------------------------------------------------------ refusing and ending

    def refuse(self, error: VolantError) -> None:
        """Answer what arrives with an error once its turn comes, read no more, and close."""
        exchange = self._arriving or Exchange(Request("GET", b"/", {}), time.perf_counter())
        self._arriving = None
        exchange.error, exchange.keep = error, False
        self._deaf = True
        self.phase, self.since = CLOSING, time.monotonic()
        self.received = 0
        self.outbox.add(exchange)

    def _refuse_rest(self, error: VolantError) -> None:
        if not self._deaf:
            self.refuse(error)

    def _answered(self, keep: bool) -> None:
        """An answer was sent; without `keep` the connection ends behind it.

        Whoever still sends is listened to for a moment: a connection that is closed with bytes unread may be
        reset before the client has read the answer.
        """
        if keep:
            self.since = time.monotonic() if self.phase == IDLE else self.since
            return
        self.phase, self.since = CLOSING, time.monotonic()
        self._deaf, self.received = True, 0
        if self._ended or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def close(self) -> None:
        """End once everything that was written is sent."""
        self._transport.close()


def plain_target(target: bytes) -> bytes:
    """Path and query of a request's target, which proxies may send with scheme and host before them."""
    if target.startswith(b"/"):
        return target
    _scheme, found, rest = target.partition(b"://")
    _host, slash, path = rest.partition(b"/")
    return slash + path if found and slash else target


def _too_large(status: int, what: str, where: str) -> HttpError:
    return HttpError(status, "request-too-large", what, where=where)
