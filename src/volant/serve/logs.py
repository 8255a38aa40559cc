"""What the service writes to standard error: lines for people, or one JSON object each. Never what a caller sent."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

ACCESS = "volant.access"
"""The logger of answered requests."""

Form = Literal["text", "json"]


class JsonLines(logging.Formatter):
    """One object per line: when, how grave, who, which process, what, and the facts that came with it."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        return msgspec.json.encode(facts).decode()


class TextLines(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        told = "".join(f" {name}={value}" for name, value in getattr(record, "facts", {}).items())
        return f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower()} {record.getMessage()}{told}"


def set_up(form: Form, *, access: bool) -> None:
    """Have volant write its log in this form; with `access`, a line for every answered request as well."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logger = logging.getLogger("volant")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO if form == "json" or access else logging.WARNING)
    logging.getLogger(ACCESS).setLevel(logging.INFO if access else logging.ERROR)


def answered(method: str, path: str, status: int, seconds: float, *, request_id: str, key: str | None) -> None:
    """Write that a request was answered: by its route, not by the path that was sent."""
    facts = {"method": method, "path": path, "status": status, "ms": round(seconds * 1000, 3), "request_id": request_id}
    logging.getLogger(ACCESS).info("answered", extra={"facts": {**facts, **({"key": key} if key else {})}})
