"""The process that listens: uvicorn with httptools and uvloop, told to drain and not to talk."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from volant.core.ids import uuid7
from volant.errors import BadInput
from volant.serve.http import Receive, Scope, Send
from volant.serve.problems import MEDIA_TYPE, HttpError, problem

DRAIN_SECONDS = 30
"""How long requests that were begun may take to end after SIGTERM."""

KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048


class Protocol(HttpToolsProtocol):
    """What is not HTTP is refused in the same form as everything else."""

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not read, and close."""
        request_id = uuid7()
        error = HttpError(400, "request-invalid", "this is not a request in HTTP/1.1", fix="use an HTTP client")
        body = problem(error, request_id)
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
            b"connection: close\r\n\r\n"
        )
        self.transport.write(head % (MEDIA_TYPE, len(body), request_id.encode()) + body)
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, which says when it is ready and ends quietly on a signal."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT without raising the signal once more at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second does not wait."""
        self.force_exit = self.should_exit
        self.should_exit = True


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that takes connections; they wait until somebody serves them.

    Raises:
        BadInput: code `address-in-use`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as cause:
        raise BadInput(
            "the service cannot listen there",
            code="address-in-use",
            where=f"{host}:{port}",
            got=os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else type(cause).__name__,
            fix="choose another port (0 takes a free one) or another address, or stop what listens there",
        ) from cause
    with made:
        yield made


def url_of(listening: socket.socket) -> str:
    """The address of a socket as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Callable[[Scope, Receive, Send], Any], listening: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve an application on a socket until a signal comes, then drain."""
    config = uvicorn.Config(
        app,
        http=Protocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )

    def started() -> None:
        gc.collect()
        gc.freeze()  # what was loaded stays: the collector need not walk through it again and again
        ready(url_of(listening))

    Server(config, started).run(sockets=[listening])
