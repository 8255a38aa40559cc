"""The application behind another server that speaks ASGI: for embedding, and for measuring servers side by side.

Deadlines on receiving and on slow readers are then that server's business.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from volant.errors import VolantError
from volant.serve.app import Application
from volant.serve.http import Header, Request, Response, Route
from volant.serve.intake import Intake

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class ClientGone(Exception):
    """The client went away before its request was complete; nobody is left to answer."""


class Asgi:
    """One coroutine per request. The services start and close with the server's lifespan."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        target = scope.get("raw_path") or scope["path"].encode("latin-1", "replace")
        query = scope.get("query_string") or b""
        request = Request(scope["method"], target + (b"?" + query if query else b""), dict(scope["headers"]))
        refused = False
        try:
            route = self.app.open(request)
            request.body = await _body(route, request, receive)
        except ClientGone:
            return
        except VolantError as error:
            response, refused = self.app.refusal(error, request), True
        else:
            found = self.app.answer(request, route)
            response = found if isinstance(found, Response) else await found
        await _send(response, request, send, more=((b"connection", b"close"),) if refused else ())
        self.app.done(request, response.status, time.perf_counter() - began)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.app.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self.app.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _body(route: Route, request: Request, receive: Receive) -> bytes:
    if route.takes is None:
        return b""
    intake, more = Intake(route.takes, request.headers), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        intake.add(message.get("body", b""))
        more = message.get("more_body", False)
    return intake.whole()


async def _send(response: Response, request: Request, send: Send, more: tuple[Header, ...]) -> None:
    whole = isinstance(response.body, bytes)
    length = ((b"content-length", b"%d" % len(response.body)),) if isinstance(response.body, bytes) else ()
    headers = [*response.heads(request.id), *length, *more]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if whole:
        await send({"type": "http.response.body", "body": response.body})
        return
    assert not isinstance(response.body, bytes)
    async for piece in response.body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
