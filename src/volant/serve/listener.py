"""Where clients come in: a socket, the connections that came in by it, and the deadlines that they are held to."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from volant.errors import BadInput, place_of
from volant.serve.connection import BODY, CLOSING, HEAD, IDLE, Connection
from volant.serve.problems import HttpError

if TYPE_CHECKING:
    from volant.serve.app import Application

BACKLOG = 2048
MOST_CONNECTIONS = 8192
"""Connections that one process holds; beyond, new ones are told to come back."""

HELD_BYTES = 256 * 1024 * 1024
"""Bytes of bodies that wait in memory, those of all connections together."""

SPARE_FILES = 128
"""Open files that are left for other things than connections."""

SWEEP_SECONDS = 0.25
KEEP_ALIVE_SECONDS = 75.0
HEAD_SECONDS = 8.0
BODY_SECONDS = 10.0
BODY_BYTES_A_SECOND = 16 * 1024
"""A body may take `BODY_SECONDS` and one second for so many bytes of it."""

UNREAD_SECONDS = 20.0
"""How long a client may leave an answer unread."""

LINGER_SECONDS = 2.0
DRAIN_IDLE_SECONDS = 0.5
DRAIN_SECONDS = 30.0
"""How long requests that were begun may take to end after SIGTERM."""


_logger = logging.getLogger("volant.serve")


class Listener:
    """Takes connections for an application, and ends those that take too long. All of it runs in one event loop.

    `slow` are those whose clients do not read. `draining` tells that no request but those under way is taken.
    """

    def __init__(self, app: Application, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self.loop = loop
        self.slow: set[object] = set()
        self.draining = False
        self._connections: set[Connection] = set()
        self._most = most_connections()
        self._servers: list[asyncio.Server] = []
        self._sweeping = loop.create_task(self._sweep_for_ever())

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def listen(self, listening: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Take connections from a socket."""
        timeout = None if context is None else HEAD_SECONDS
        server = await self.loop.create_server(
            lambda: Connection(self), sock=listening, backlog=BACKLOG, ssl=context, ssl_handshake_timeout=timeout
        )
        self._servers.append(server)

    def enter(self, connection: Connection) -> bool:
        """Take a new connection, unless there are too many."""
        if len(self._connections) >= self._most:
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def has_room(self, most: int) -> bool:
        """Whether the bodies that wait in memory leave room for more; one of them has `most` bytes at most."""
        return sum(connection.held for connection in self._connections) <= max(HELD_BYTES, 4 * most)

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Take no new connections, answer what was sent, and return when all connections are closed."""
        self.draining = True
        for server in self._servers:
            server.close()
        until = time.monotonic() + seconds
        while self._connections and time.monotonic() < until:
            await asyncio.sleep(SWEEP_SECONDS / 5)
        self._sweeping.cancel()
        for connection in list(self._connections):
            connection.abort()

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep(time.monotonic())

    def sweep(self, now: float) -> None:
        """Hold every connection to its deadlines."""
        for connection in list(self._connections):
            try:
                self._hold_to_deadlines(connection, now)
            except Exception as error:  # one connection that breaks must not free the others of their deadlines
                _logger.error("a connection broke: %s", place_of(error))
                connection.abort()

    def _hold_to_deadlines(self, connection: Connection, now: float) -> None:
        outbox = connection.outbox
        if outbox.blocked and now - outbox.blocked > UNREAD_SECONDS:
            connection.abort()
        elif outbox.current is not None:
            if now - outbox.since > self.app.deadline_seconds:
                outbox.give_up()
        else:
            self._hold(connection, now - connection.since)

    def _hold(self, connection: Connection, waited: float) -> None:
        """Hold a connection that we wait for to its deadlines."""
        phase = connection.phase
        if phase == IDLE:
            if waited > (DRAIN_IDLE_SECONDS if self.draining else KEEP_ALIVE_SECONDS):
                connection.close()
        elif phase == HEAD:
            if waited > HEAD_SECONDS:
                connection.refuse(_too_slow("the head of the request"))
        elif phase == BODY:
            if waited > BODY_SECONDS + connection.received / BODY_BYTES_A_SECOND:
                connection.refuse(_too_slow("the body of the request"))
        elif phase == CLOSING and waited > LINGER_SECONDS:
            connection.close()


def _too_slow(what: str) -> HttpError:
    return HttpError(408, "too-slow", f"{what} did not come in time", fix="send it faster, or in smaller requests")


def most_connections() -> int:
    """How many connections this process may hold: as many files as the system lets it open, less a few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + SPARE_FILES
    if soft < wanted:
        room = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, room), hard))
        soft = max(soft, room)
    return max(min(MOST_CONNECTIONS, soft - SPARE_FILES), 16)


@contextmanager
def sockets(host: str, port: int, count: int) -> Iterator[list[socket.socket]]:
    """Sockets on one address, one per process: the system deals connections out among them.

    They belong to the caller, so what comes in while a process is started anew waits in the socket's queue.

    Raises:
        BadInput: code `address-in-use`.
    """
    made: list[socket.socket] = []
    if count > 1:  # sockets that share an address would not notice that another service has it
        with _listening(host, port, shared=False) as probe:
            port = probe.getsockname()[1]
    try:
        for _ in range(count):
            made.append(_listening(host, port, shared=count > 1))
        yield made
    finally:
        for one in made:
            one.close()


def _listening(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG, reuse_port=shared)
    except (OSError, OverflowError) as cause:
        raise BadInput(
            "the service cannot listen there",
            code="address-in-use",
            where=f"{host}:{port}",
            got=os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else type(cause).__name__,
            fix="choose another port (0 takes a free one) or another address, or stop what listens there",
        ) from cause
    made.setblocking(False)
    return made


def url_of(listening: socket.socket, scheme: str = "http") -> str:
    """The address of a socket as a URL."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
