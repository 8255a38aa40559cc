"""The services of one or several products as one application: it opens requests, answers them, and counts."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from volant.core.clock import Clock
from volant.core.product import Product
from volant.errors import Failure, VolantError, place_of
from volant.serve.about import ERRORS, error_page
from volant.serve.board import Board
from volant.serve.cors import Cors
from volant.serve.http import Pending, Request, Response, Route, Routes
from volant.serve.logs import answered
from volant.serve.metrics import CONTENT_TYPE, Figures
from volant.serve.problems import MEDIA_TYPE, HttpError, headers_of, problem, status_of
from volant.serve.service import Service
from volant.serve.tracing import Tracing
from volant.store import Store

GRACE_SECONDS = 1.0
"""How much longer than its deadline an answer is waited for: whoever makes it knows better why it is late."""

_logger = logging.getLogger("volant.serve")


class Application:
    """Answers requests for the services that are mounted, each under the prefix of its paths.

    Nothing it returns raises, except that work is cancelled. `deadline_seconds` is how long an answer may take.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        figures: Figures,
        board: Board | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.services = services
        self._tracing = tracing
        for service in services.values():
            service.answerer.traced = tracing is not None
        self._board = board
        self.figures = figures
        slowest = max(service.product.file.serve.deadline_ms for service in services.values())
        self.deadline_seconds = slowest / 1000 + GRACE_SECONDS
        self._access_log = any(service.product.file.serve.access_log for service in services.values())
        self._cors = {prefix: Cors(service.product.file.serve.cors) for prefix, service in services.items()}
        self.connections: Callable[[], int] = lambda: 0
        """How many connections are open; the listener tells."""
        figures.watch("volant_connections_open", "Connections that are open", lambda: self.connections())
        self._routes = Routes()
        self._mount()

    @property
    def deployment(self) -> int:
        """A number that is the same in all processes once they serve the same releases."""
        return sum(service.deployment for service in self.services.values())

    def settled(self) -> bool:
        """Whether all processes serve what this one serves."""
        return self._board is None or self._board.settled(self.deployment)

    def open(self, request: Request) -> Route:
        """The route of a request whose head has come: who it is for, and whether it is let in.

        Raises:
            VolantError: it is not; nothing of its body needs to be read.
        """
        try:
            route = self._routes.find(request)
        except HttpError:
            preflight = self._preflight(request)
            if preflight is None:
                raise
            route = preflight
        request.route = route
        if self._tracing is not None:
            self._tracing.begin(request)
        if route.admit is not None:
            route.admit(request)
        if route.takes is not None:
            route.takes.refuse(request.headers)
        return route

    def answer(self, request: Request, route: Route) -> Response | Awaitable[Response]:
        """The answer to a request whose body has come, or the promise of one."""
        try:
            found = route.handler(request)
        except Exception as error:
            return self.refusal(error, request)
        if isinstance(found, Response):
            return self._shared(found, request)
        if isinstance(found, Pending):
            found.shape = partial(self._shaped, request)
            return found
        return self._answer_later(found, request)

    def _shaped(self, request: Request, found: Response | Exception) -> Response:
        return self.refusal(found, request) if isinstance(found, Exception) else self._shared(found, request)

    async def _answer_later(self, promised: Awaitable[Response], request: Request) -> Response:
        try:
            return self._shared(await promised, request)
        except Exception as error:
            return self.refusal(error, request)

    def refusal(self, error: Exception, request: Request) -> Response:
        """The answer that says what went wrong; of what nobody foresaw, no more than that."""
        request_id = request.id.decode()
        if isinstance(error, MemoryError):
            what, fix = "there is no memory for the request", "send fewer rows, or try again in a second"
            error = HttpError(503, "overloaded", what, fix=fix)
        if not isinstance(error, VolantError):
            _logger.error("request %s failed: %s", request_id, place_of(error))
            error = Failure("something went wrong inside volant", code="internal")
        status = status_of(error)
        if status == 500:
            _logger.error("request %s was answered with 500: %s", request_id, error.code)
        return self._shared(Response(problem(error, request_id), status, MEDIA_TYPE, headers_of(error)), request)

    def done(self, request: Request, status: int, seconds: float) -> None:
        """An answer was sent."""
        name = request.route.name if request.route is not None else self._routes.name(request.path)
        if self._tracing is not None:
            self._tracing.end(request, name, status)
        self.figures.answered(request.method if name != "other" else "any", name, status, seconds)
        if self._access_log:
            key = request.holder.key.id if request.holder is not None else None
            answered(request.method, name, status, seconds, request_id=request.id.decode(), key=key)

    def _shared(self, response: Response, request: Request) -> Response:
        """The response as pages from elsewhere may read it, where they may, and with the span that it belongs to."""
        if self._tracing is not None:
            response = replace(response, headers=(*response.headers, *self._tracing.headers(request)))
        origin = request.headers.get(b"origin")
        if origin is None:
            return response
        more = self._cors[self._prefix(request)].headers(origin)
        return replace(response, headers=(*response.headers, *more)) if more else response

    def _preflight(self, request: Request) -> Route | None:
        """A browser asks whether a page from elsewhere may send what it is about to send."""
        wanted = request.headers.get(b"access-control-request-method", b"").decode("latin-1")
        methods = self._routes.methods(request.path)
        if request.method != "OPTIONS" or wanted not in methods:
            return None
        cors = self._cors[self._prefix(request)]
        if not cors.headers(request.headers.get(b"origin", b"")):
            return None
        return Route(lambda _: cors.preflight(sorted(methods)), methods[wanted].name)

    def _prefix(self, request: Request) -> str:
        if "" in self.services:
            return ""
        first = "/" + request.path[1:].partition("/")[0]
        return first if first in self.services else next(iter(self.services))

    # ------------------------------------------------------------ routes

    def _mount(self) -> None:
        for prefix, service in self.services.items():
            for path, methods in service.routes(self.settled).table.items():
                self._routes.table[prefix + path] = dict(methods)
        for path, handler in (("/v1/health/live", live), ("/v1/health/ready", self._ready), ("/", self._home)):
            if path not in self._routes.table:
                self._routes.add("GET", path, Route(handler, path))
        self._routes.add("GET", "/metrics", Route(self._metrics, "/metrics", admit=self._admit_to_metrics))
        self._routes.add_tree("GET", ERRORS, Route(error_page, ERRORS))

    def _admit_to_metrics(self, request: Request) -> None:
        """The figures are of all products, so the key of one of them will do."""
        services = list(self.services.values())
        for service in services[:-1]:
            try:
                return service.guard.admit(request, "review")
            except HttpError:
                continue
        return services[-1].guard.admit(request, "review")

    def _metrics(self, request: Request) -> Response:
        return Response(self.figures.text(), content_type=CONTENT_TYPE)

    def _ready(self, request: Request) -> Response:
        """All products are ready."""
        for service in self.services.values():
            service.refuse_unless_ready()
        return Response(b'{"ready":true}')

    def _home(self, request: Request) -> Response:
        """The way to the first product's page."""
        where = next(iter(self.services)).encode() + b"/docs"
        return Response(b"", 307, b"text/plain; charset=utf-8", [(b"location", where)])

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Load what is served and begin the work in the background."""
        for service in self.services.values():
            service.start()

    def close(self) -> None:
        """End the work in the background; everything that was logged is kept."""
        for service in self.services.values():
            service.close()
        if self._tracing is not None:
            self._tracing.close()


def live(request: Request) -> Response:
    """The process answers."""
    return Response(b'{"live":true}')


def create_app(product: Product, store: Store, *, clock: Clock | None = None) -> Application:
    """The application of one product. The caller keeps the store open as long as it runs."""
    figures = Figures()
    return Application({"": Service(product, store, figures, clock=clock)}, figures)
