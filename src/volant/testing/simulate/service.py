"""A running service, as its callers see it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit


class Desk(Protocol):
    """Where users go: something that answers rows and takes what is said to the answers."""

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to some rows, in their order, each with the id of its prediction."""

    def send(self, items: Sequence[Mapping[str, Any]]) -> Any:
        """Take feedback, as the body of `POST /v1/feedback` holds it."""


class Service:
    """The service at a URL."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 30.0) -> None:
        self._place = urlsplit(url)
        self._timeout = timeout
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to some rows, in their order, each with the id of its prediction."""
        answered = self.call("POST", "/v1/predict", {"rows": list(rows)})
        return list(answered["predictions"])

    def send(self, items: Sequence[Mapping[str, Any]]) -> Any:
        """Send feedback; what the service says to it."""
        return self.call("POST", "/v1/feedback", {"feedback": list(items)}) if items else None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; the decoded answer.

        Raises:
            ConnectionError: the service answered with an error, or not at all.
        """
        line = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=self._timeout)
        try:
            line.request(method, path, None if body is None else json.dumps(body), self._headers)
            reply = line.getresponse()
            text = reply.read()
        finally:
            line.close()
        if reply.status >= 300:
            raise ConnectionError(f"{method} {path} was answered with {reply.status}: {text[:500]!r}")
        return json.loads(text) if text else None
