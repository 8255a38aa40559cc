"""What the service says of itself: whether it lives and is ready, its figures, its document, its page."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files

import msgspec

from volant.core.product import Product
from volant.core.protocols import Task
from volant.errors import CODES
from volant.serve.deck import Deck, Slot
from volant.serve.http import Request, Response
from volant.serve.metrics import CONTENT_TYPE, Metrics
from volant.serve.openapi import document
from volant.serve.problems import HttpError

ERRORS = "/errors/"
_HTML, _TEXT = b"text/html; charset=utf-8", b"text/plain; charset=utf-8"


class About:
    """Handlers for everything that can be read."""

    def __init__(
        self, product: Product, task: Task, deck: Deck, metrics: Metrics, *, state: Callable[[], tuple[str, bool]]
    ) -> None:
        self._product = product
        self._task = task
        self._deck = deck
        self._metrics = metrics
        self._state = state
        self._described: tuple[Slot | None, bytes] = (None, b"")

    async def live(self, request: Request) -> Response:
        """The process answers."""
        return Response(b'{"live":true}')

    async def ready(self, request: Request) -> Response:
        """A release is loaded and warm, and predictions can be logged."""
        trouble, config_changed = self._state()
        slot = self._deck.champion
        if slot is None or trouble:
            what = trouble or "the service has no release to answer with yet"
            raise HttpError(503, "not-ready", what, fix="try again later")
        facts = {"ready": True, "release": slot.name, "contract": slot.signature.contract}
        return Response(msgspec.json.encode({**facts, "config_changed": config_changed}))

    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus."""
        return Response(self._metrics.text(), content_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        """The document of the release that answers now."""
        slot = self._deck.champion
        described, body = self._described
        if not body or described is not slot:
            body = document(self._product, self._task, slot)
            self._described = slot, body
        return Response(body)

    async def docs(self, request: Request) -> Response:
        """The page on which the service can be tried."""
        body, policy = page()
        return Response(body, content_type=_HTML, headers=[(b"content-security-policy", policy)])

    async def home(self, request: Request) -> Response:
        """The way to the page."""
        return Response(b"", 307, _TEXT, [(b"location", b"/docs")])

    async def error(self, request: Request) -> Response:
        """What the code of an error means: where the `type` of a problem leads."""
        code = request.path.removeprefix(ERRORS)
        if code not in CODES:
            raise HttpError(404, "not-found", "there is no error of that code", where="path")
        return Response(f"{code}: {CODES[code]}\n".encode(), content_type=_TEXT)


@cache
def page() -> tuple[bytes, bytes]:
    """The page, and a policy that lets it run nothing but its own script and reach nothing but this service."""
    body = files("volant.serve").joinpath("page.html").read_bytes()
    script = _source_of(body, b"script")
    style = _source_of(body, b"style")
    policy = b"default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    return body, policy + b"frame-ancestors 'none'; script-src " + script + b"; style-src " + style


def _source_of(body: bytes, tag: bytes) -> bytes:
    found = re.search(rb"<%b>(.*?)</%b>" % (tag, tag), body, re.DOTALL)
    inside = found[1] if found else b""
    return b"'sha256-" + base64.b64encode(hashlib.sha256(inside).digest()) + b"'"
