"""The answering half of a connection: requests wait for their turn, answers go out no faster than they are read."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from volant.errors import Failure, VolantError, place_of
from volant.serve.http import Pending, Request, Response, Route
from volant.serve.intake import Intake
from volant.serve.problems import HttpError
from volant.serve.wire import LAST_CHUNK, chunk_of, head_of

if TYPE_CHECKING:
    from volant.serve.listener import Listener

MOST_WAITING = 16
"""Requests of one connection that may wait for their turn before no more is read."""

_logger = logging.getLogger("volant.serve")


@dataclass(eq=False)
class Exchange:
    """One request and what it will be answered with. `error` is why it is refused, if it is.

    `keep` tells that the connection goes on behind it.
    """

    request: Request
    began: float
    keep: bool = True
    route: Route | None = None
    intake: Intake | None = None
    error: VolantError | None = None
    streaming: bool = False


class Outbox:
    """Answers the requests of one connection in their order.

    `since` is the monotonic time at which the work on `current` began, `blocked` the one since when the client
    does not read, or 0. `over` is called with every answer that was sent: does the connection go on?
    """

    def __init__(self, listener: Listener, transport: Any, over: Callable[[bool], None]) -> None:
        self.current: Exchange | None = None
        self.since = 0.0
        self.blocked = 0.0
        self._app = listener.app
        self._listener = listener
        self._transport = transport
        self._over = over
        self._waiting: deque[Exchange] = deque()
        self._task: asyncio.Task[None] | None = None
        self._readable: asyncio.Future[None] | None = None
        self._paused = False
        self._closed = False

    @property
    def empty(self) -> bool:
        """Whether every request was answered."""
        return self.current is None and not self._waiting

    @property
    def held(self) -> int:
        """Bytes of the bodies that were not answered yet."""
        current = 0 if self.current is None else len(self.current.request.body)
        return current + sum(exchange.intake.size for exchange in self._waiting if exchange.intake is not None)

    def add(self, exchange: Exchange) -> None:
        """Answer this once its turn comes. Beyond `MOST_WAITING` no more is read of the client."""
        self._waiting.append(exchange)
        if len(self._waiting) > MOST_WAITING and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self.work()

    def end_after_last(self) -> None:
        """Let the connection end behind what waits."""
        last = self._waiting[-1] if self._waiting else self.current
        if last is not None:
            last.keep = False

    def block(self) -> None:
        """The client does not read: what is written waits in memory, so no more is made."""
        self.blocked = time.monotonic()
        self._listener.slow.add(self)

    def unblock(self) -> None:
        """The client reads again."""
        self.blocked = 0.0
        self._listener.slow.discard(self)
        if self._readable is not None and not self._readable.done():
            self._readable.set_result(None)
        self.work()

    def close(self) -> None:
        """Nobody is left to answer: what waits is dropped, and work that can be stopped is."""
        self._closed = True
        self._waiting.clear()
        self._listener.slow.discard(self)
        if self._task is not None:
            self._task.cancel()

    def work(self) -> None:
        """Answer what waits, as long as that needs no waiting and the client reads its answers."""
        while self._waiting and self.current is None and not self.blocked and not self._closed:
            exchange = self.current = self._waiting.popleft()
            if self._paused and len(self._waiting) < MOST_WAITING:
                self._paused = False
                self._transport.resume_reading()
            self.since = time.monotonic()
            found = self._answer(exchange)
            if isinstance(found, Response) and isinstance(found.body, bytes):
                self._finish(exchange, found, found.body)
            elif isinstance(found, Pending):
                found.then(partial(self._found, exchange))
            else:
                self._task = self._listener.loop.create_task(self._later(exchange, found))

    def _answer(self, exchange: Exchange) -> Response | Awaitable[Response]:
        if exchange.error is None and exchange.intake is not None:
            try:
                exchange.request.body = self._body(exchange.intake)
            except VolantError as refused:
                exchange.error = refused
            exchange.intake = None
        if exchange.error is not None or exchange.route is None:
            error = exchange.error or Failure("a request without a route", code="internal")
            return self._app.refusal(error, exchange.request)
        return self._app.answer(exchange.request, exchange.route)

    def _body(self, intake: Intake) -> bytes:
        """The whole body. It is unpacked only when its turn comes: many small packed ones may be large together."""
        if intake.packed and not self._listener.has_room(intake.takes.most):
            raise HttpError(503, "overloaded", "too many large bodies wait", where="body", fix="try again in a second")
        return intake.whole()

    def _found(self, exchange: Exchange, response: Response) -> None:
        """The answer to what was pending, if anybody still waits for it."""
        if self.current is not exchange or self._closed:
            return
        assert isinstance(response.body, bytes)
        self._finish(exchange, response, response.body)
        self.work()

    async def _later(self, exchange: Exchange, found: Response | Awaitable[Response]) -> None:
        response = found if isinstance(found, Response) else await found
        if isinstance(response.body, bytes):
            self._task = None
            self._finish(exchange, response, response.body)
        else:
            await self._stream(exchange, response, response.body)
        self.work()

    def _finish(self, exchange: Exchange, response: Response, body: bytes) -> None:
        """Send a whole answer."""
        keep = self._keeps(exchange)
        head = head_of(response, exchange.request.id, keep=keep, length=len(body))
        self._transport.write(head if exchange.request.method == "HEAD" else head + body)
        self._done(exchange, response, keep)

    async def _stream(self, exchange: Exchange, response: Response, pieces: AsyncIterator[bytes]) -> None:
        """Send an answer as it is made."""
        keep, exchange.streaming = self._keeps(exchange), True
        self._transport.write(head_of(response, exchange.request.id, keep=keep, length=None))
        try:
            async for piece in pieces:
                self._transport.write(chunk_of(piece))
                self.since = time.monotonic()
                if self.blocked:
                    self._readable = self._listener.loop.create_future()
                    await self._readable
        except Exception as error:  # the head is sent: only a connection that breaks off says that it failed
            _logger.error("request %s broke off: %s", exchange.request.id.decode(), place_of(error))
            self._transport.abort()
            return
        self._task = None
        self._transport.write(LAST_CHUNK)
        self._done(exchange, response, keep)

    def _keeps(self, exchange: Exchange) -> bool:
        return exchange.keep and (bool(self._waiting) or not self._listener.draining)

    def _done(self, exchange: Exchange, response: Response, keep: bool) -> None:
        self.current = None
        if not keep:  # nothing may be written behind the last answer
            self._closed = True
            self._waiting.clear()
        self._app.done(exchange.request, response.status, time.perf_counter() - exchange.began)
        self._over(keep)

    def give_up(self) -> None:
        """The request that is being answered takes too long: answer in its place."""
        exchange = self.current
        if exchange is None:
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if exchange.streaming:
            self._transport.abort()
            return
        what, fix = "the answer took too long", "send fewer rows, or try again later"
        response = self._app.refusal(HttpError(504, "deadline", what, fix=fix), exchange.request)
        assert isinstance(response.body, bytes)
        self._finish(exchange, response, response.body)
        self.work()

    def abort(self) -> None:
        """End at once, whatever is still to be sent."""
        self._transport.abort()
