"""What feedback must look like before it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from volant.core.ids import canonical_json, uuid7
from volant.core.records import Feedback
from volant.errors import BadInput, Trouble
from volant.store.part import iso

MAX_TEXT = 1024
"""Characters that an id, a kind, an actor, a source or a key may have."""

_REQUIRED = ("prediction_id", "kind", "actor", "source")
_OPTIONAL = ("target", "idempotency_key", "supersedes")


def checked(items: Sequence[Feedback], received_at: str) -> list[dict[str, Any]] | BadInput:
    """The items as rows of the feedback table, or the error that names all that is wrong with them."""
    troubles = [trouble for position, item in enumerate(items) for trouble in _troubles(item, f"items[{position}]")]
    if troubles:
        return BadInput("feedback is not well-formed", code="feedback-invalid", troubles=troubles)
    return [_row(item, received_at) for item in items]


def _troubles(item: Feedback, where: str) -> list[Trouble]:
    troubles = []
    for name in (*_REQUIRED, *_OPTIONAL):
        value = getattr(item, name)
        if not _is_text(value, may_lack=name in _OPTIONAL):
            what = f"{name} must be a text of 1 to {MAX_TEXT} characters without NUL"
            troubles.append(Trouble(what, f"{where}.{name}", type(value).__name__))
    if not _is_plain(item.value):
        what = "the value must be plain JSON data with finite numbers"
        troubles.append(Trouble(what, f"{where}.value", type(item.value).__name__))
    if item.event_at is not None and _time(item.event_at) is None:
        what = "event_at must be an ISO 8601 time"
        fix = "write it as 2026-01-31T12:00:00Z"
        troubles.append(Trouble(what, f"{where}.event_at", type(item.event_at).__name__, (), fix))
    return troubles


def _is_text(value: Any, *, may_lack: bool) -> bool:
    if may_lack and value in (None, ""):
        return True
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or "\x00" in value:
        return False
    return value.isascii() or _is_unicode(value)


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _is_plain(value: Any) -> bool:
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _time(text: Any) -> str | None:
    try:
        return iso(datetime.fromisoformat(text))
    except (TypeError, ValueError, OverflowError):
        return None


def _row(item: Feedback, received_at: str) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "prediction_id": item.prediction_id,
        "target": item.target or "",
        "kind": item.kind,
        "value": item.value,
        "actor": item.actor,
        "source": item.source,
        "event_at": _time(item.event_at),
        "received_at": received_at,
        "idempotency_key": item.idempotency_key or None,
        "supersedes": item.supersedes or None,
        "valid": True,
        "api_key": item.api_key,
    }
