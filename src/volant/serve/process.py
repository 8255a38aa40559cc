"""One process of a service: it opens the stores, loads what is served, and answers until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from volant.core.clock import Machine
from volant.core.product import Product
from volant.serve.app import Application
from volant.serve.board import Board
from volant.serve.child import Setting
from volant.serve.listener import Listener
from volant.serve.metrics import SNAPSHOT_SECONDS, Figures
from volant.serve.processes import Processes
from volant.serve.service import Service
from volant.serve.slot import keep_out_of_the_collector
from volant.serve.tracing import Tracing
from volant.store import Store, open_store

BEAT_SECONDS = 0.5
"""How often a process gives a sign of life."""


@dataclass(frozen=True)
class Plan:
    """What is served: the products by the prefix of their paths, by how many processes, and where they meet."""

    products: tuple[tuple[str, Product], ...]
    workers: int
    folder: Path
    tls: ssl.SSLContext | None = None
    renew: Callable[[], None] | None = None
    """Reads the certificate again, which SIGHUP asks for."""


def store_of(product: Product) -> Store:
    """The opened store of a product, as the service uses it."""
    from volant.wheel.context import from_environment

    url = product.file.store.url
    return open_store(product.home, None if url is None else from_environment(url))


@contextmanager
def application(plan: Plan, process: int, board: Board) -> Iterator[Application]:
    """The application of a plan, with its stores open."""
    figures, tracing = Figures(plan.folder, process), Tracing.wanted()
    with ExitStack() as stack:
        services = {}
        for prefix, product in plan.products:
            store = stack.enter_context(store_of(product))
            services[prefix] = _service(plan, prefix, product, store, figures, traced=tracing is not None)
        yield Application(services, figures, board, tracing)


def _service(plan: Plan, prefix: str, product: Product, store: Store, figures: Figures, *, traced: bool) -> Service:
    file = product.file.serve
    threads = max(Machine.here().cores // plan.workers, 1)
    setting = Setting(product.folder, threads, file.model_memory_mb, traced)
    elsewhere = Processes(setting, file.model_processes, file.deadline_ms / 1000)
    return Service(product, store, figures, prefix=prefix, folder=plan.folder, elsewhere=elsewhere, keeps=False)


def work(plan: Plan, process: int, listening: socket.socket, board: Board, ready: Callable[[], None]) -> None:
    """Answer on a socket until SIGTERM or SIGINT comes, then finish what was begun.

    A process that is started first listens while it loads, so that its health can be asked; one that takes the
    place of another loads before it listens, so that nobody is told to come back.
    """
    with application(plan, process, board) as app, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(app, plan, process, listening, board, ready))


async def _work(
    app: Application, plan: Plan, process: int, listening: socket.socket, board: Board, ready: Callable[[], None]
) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if plan.renew is not None:
        loop.add_signal_handler(signal.SIGHUP, plan.renew)
    listener = Listener(app, loop)
    app.connections = lambda: listener.open
    first = not board.silent(process)
    if first:
        await listener.listen(listening, plan.tls)
    beating = loop.create_task(_beat(app, listener, process, board))
    await loop.run_in_executor(None, app.start)
    if not first:
        await listener.listen(listening, plan.tls)
    keep_out_of_the_collector()
    ready()
    await stop.wait()
    await listener.drain()
    beating.cancel()
    await loop.run_in_executor(None, app.close)
    app.figures.leave_snapshot()


async def _beat(app: Application, listener: Listener, process: int, board: Board) -> None:
    """Give signs of life, and leave figures for the others."""
    loop, told = asyncio.get_running_loop(), 0.0
    while True:
        board.write(process, app.deployment, listener.open)
        if loop.time() - told >= SNAPSHOT_SECONDS:
            told = loop.time()
            app.figures.leave_snapshot()
        await asyncio.sleep(BEAT_SECONDS)
