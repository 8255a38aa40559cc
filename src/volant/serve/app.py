"""The service as an ASGI application, and as a process that listens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from volant.core.clock import Clock
from volant.core.product import Product
from volant.errors import BadInput, Failure, VolantError, place_of
from volant.serve.http import ClientGone, Receive, Request, Response, Scope, Send
from volant.serve.problems import MEDIA_TYPE, headers_of, problem, status_of
from volant.serve.service import Service
from volant.store import Store, open_store

_logger = logging.getLogger("volant.serve")


class Application:
    """ASGI: one coroutine per request. It starts and closes its service with the server's lifespan."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._routes = service.routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        request = Request(scope, receive)
        try:
            response = await self._routes.find(request)(request)
        except ClientGone:
            return
        except VolantError as error:
            response = self._refusal(error, request)
        except Exception as error:  # the process answers whatever happens
            _logger.error("request %s failed: %s", request.id.decode(), place_of(error))
            response = self._refusal(Failure("something went wrong inside volant", code="internal"), request)
        await response.send(send, request.id)
        path = self._routes.name(request.path)
        method = request.method if path != "other" else "any"
        self.service.metrics.answered(method, path, response.status, time.perf_counter() - begun)

    def _refusal(self, error: VolantError, request: Request) -> Response:
        body = problem(error, request.id.decode())
        if status_of(error) == 500:
            _logger.error("request %s was answered with 500: %s", request.id.decode(), error.code)
        return Response(body, status_of(error), MEDIA_TYPE, headers_of(error))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.service.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self.service.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def create_app(product: Product, store: Store, *, clock: Clock | None = None) -> Application:
    """The service of a product as an ASGI application. The caller keeps the store open as long as it runs."""
    return Application(Service(product, store, clock=clock))


def run(product: Product, *, host: str | None = None, port: int | None = None, announce: Callable[[str], None]) -> None:
    """Serve a product's champion until SIGTERM or SIGINT, then finish what was begun.

    Args:
        product: what to serve.
        host: address to listen on, instead of the product file's.
        port: port to listen on, instead of the product file's; 0 takes a free one.
        announce: is told the address once requests are answered there.

    Raises:
        BadInput: codes `no-release`, `key-required`, `address-in-use`, or that of a damaged release.
    """
    from volant.serve.keys import refuse_open_door
    from volant.serve.server import listen, serve
    from volant.wheel.context import from_environment

    address = product.file.serve.host if host is None else host
    url = product.file.store.url
    with open_store(product.home, None if url is None else from_environment(url)) as store:
        _refuse_without_release(store)
        app = create_app(product, store)
        refuse_open_door(address, app.service.guard)
        with listen(address, product.file.serve.port if port is None else port) as socket:
            app.service.watch()
            serve(app, socket, lambda url: announce(f"{product.name} is served at {url} (try {url}/docs)"))


def _refuse_without_release(store: Store) -> None:
    if store.champion() is None:
        fix = "run `volant train`: what passes the gate is served"
        raise BadInput("there is no release to serve yet", code="no-release", fix=fix)
