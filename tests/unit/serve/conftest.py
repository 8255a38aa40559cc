"""Services in this process, over a release made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from volant.core.product import Product
from volant.core.records import Pipeline, Signature
from volant.serve.app import create_app
from volant.store import Store, open_store
from volant.testing import handmade


class Running:
    """An application in this process, with its service started, and a client for it."""

    def __init__(self, product: Product, store: Store) -> None:
        self.product = product
        self.store = store
        self.app = create_app(product, store)
        self.service = self.app.service
        self.service.start()

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
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

    def new_release(self, center: float = 60.0, contract: int = 1) -> str:
        """Promote another release; the service takes it up by itself."""
        home = self.product.home
        digest = handmade.write_release(home, handmade.pipeline(center), handmade.signature(contract))
        handmade.promote(self.store, digest, contract)
        return digest


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
