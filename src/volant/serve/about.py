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
from volant.serve.deck import Deck
from volant.serve.http import Request, Response
from volant.serve.openapi import document
from volant.serve.problems import HttpError
from volant.serve.slot import Slot

ERRORS = "/errors/"
_HTML, _TEXT = b"text/html; charset=utf-8", b"text/plain; charset=utf-8"


class About:
    """Handlers for everything that can be read of one product."""

    def __init__(
        self,
        product: Product,
        task: Task,
        deck: Deck,
        *,
        state: Callable[[], tuple[str, bool]],
        guarded: Callable[[], bool],
        prefix: str,
    ) -> None:
        self._product = product
        self._task = task
        self._deck = deck
        self._state = state
        self._guarded = guarded
        self._prefix = prefix
        self._described: tuple[tuple[Slot | None, bool] | None, bytes] = (None, b"")

    def refuse_unless_ready(self) -> Slot:
        """The champion, if it is loaded and warm and predictions can be logged.

        Raises:
            HttpError: 503.
        """
        trouble, _changed = self._state()
        slot = self._deck.champion
        if slot is None or trouble:
            what = trouble or "the service has no release to answer with yet"
            raise HttpError(503, "not-ready", what, fix="try again later")
        return slot

    def ready(self, request: Request, settled: Callable[[], bool]) -> Response:
        """Whether the product is ready, and by which release; `settled` tells whether all processes answer by it."""
        slot = self.refuse_unless_ready()
        facts = {"ready": True, "release": slot.name, "contract": slot.signature.contract, "settled": settled()}
        return Response(msgspec.json.encode({**facts, "config_changed": self._state()[1]}))

    def openapi(self, request: Request) -> Response:
        """The document of the release that answers now."""
        now = self._deck.champion, self._guarded()
        described, body = self._described
        if described != now:
            body = document(self._product, self._task, now[0], guarded=now[1], prefix=self._prefix)
            self._described = now, body
        return Response(body)

    def docs(self, request: Request) -> Response:
        """The page on which the service can be tried."""
        body, policy = page()
        return Response(body, content_type=_HTML, headers=[(b"content-security-policy", policy)])

    def home(self, request: Request) -> Response:
        """The way to the page."""
        return Response(b"", 307, _TEXT, [(b"location", self._prefix.encode() + b"/docs")])


def error_page(request: Request) -> Response:
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
