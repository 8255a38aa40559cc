"""Services in this process, over a release made by hand."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from volant.core.product import Product
from volant.core.records import Pipeline, Signature
from volant.serve.app import create_app
from volant.serve.asgi import Asgi
from volant.serve.listener import Listener
from volant.store import Store, open_store
from volant.testing import handmade


class Running:
    """An application in this process, with its service started, and a client for it."""

    def __init__(self, product: Product, store: Store) -> None:
        self.product = product
        self.store = store
        self.app = create_app(product, store)
        self.service = self.app.services[""]
        self.service.start()

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(Asgi(self.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(method, path, **more)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self.ask(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.call("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.call("POST", path, **more)

    def predict(self, *rows: Any, **more: Any) -> list[dict[str, Any]]:
        answer = self.post("/v1/predict", json={"rows": list(rows), **more})
        assert answer.status_code == 200, answer.text
        predictions: list[dict[str, Any]] = answer.json()["predictions"]
        return predictions

    def say(self, *items: dict[str, Any], **more: Any) -> httpx.Response:
        return self.post("/v1/feedback", json={"feedback": list(items)}, **more)

    def write_release(self, center: float = 60.0, contract: int = 1, **more: Any) -> str:
        """Another release, which nobody deployed."""
        contracted = more.get("signature") or handmade.signature(contract)
        return handmade.write_release(self.product.home, more.get("steps") or handmade.pipeline(center), contracted)

    def new_release(self, center: float = 60.0, contract: int = 1) -> str:
        """Promote another release; the service takes it up by itself."""
        digest = self.write_release(center, contract)
        handmade.promote(self.store, digest, contract)
        return digest

    def route(self, kind: Any, digest: str, **facts: Any) -> None:
        """Give a release a part of the traffic, and have the service follow."""
        champion = self.store.champion()
        assert champion is not None
        self.store.deploy(digest, kind, "a test", 1, champion.release, facts)
        self.service.watch()


Start = Callable[..., Running]


@pytest.fixture
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Starts a service for a product file, a pipeline and a signature of the test's choice."""

    def started(
        text: str = handmade.FILE_TEXT, *, steps: Pipeline | None = None, contract: Signature | None = None
    ) -> Running:
        product = handmade.make_product(tmp_path / "product", text)
        store = open_store(product.home)
        request.addfinalizer(store.close)
        handmade.promote(store, handmade.write_release(product.home, steps, contract))
        running = Running(product, store)
        request.addfinalizer(running.service.close)
        return running

    return started


@pytest.fixture
def running(start: Start) -> Running:
    return start()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Running]:
    """A service of a product that has no release yet."""
    product = handmade.make_product(tmp_path / "product")
    with open_store(product.home) as store:
        running = Running(product, store)
        yield running
        running.service.close()


class Listening:
    """An application of this process behind a real socket, for raw bytes."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listening.getsockname()
        self.listener: Listener | None = None
        self._ready = threading.Event()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._loop.run_forever()

    async def _listen(self) -> None:
        self.listener = Listener(self.running.app, self._loop)
        await self.listener.listen(self._listening)
        self._ready.set()

    def drain(self, seconds: float = 5.0) -> None:
        """Drain the listener, as at the end of a service."""
        assert self.listener is not None
        asyncio.run_coroutine_threadsafe(self.listener.drain(seconds), self._loop).result(seconds + 60)

    def stop(self) -> None:
        self.drain(0.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)

    def send(self, *pieces: bytes) -> bytes:
        """Everything that comes back until the connection is closed."""
        with self.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
            return everything(connection)


def everything(connection: socket.socket) -> bytes:
    """What a connection gives until it ends."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.fixture
def listening(running: Running) -> Iterator[Listening]:
    made = Listening(running)
    yield made
    made.stop()
