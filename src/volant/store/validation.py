"""What feedback must look like before it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from volant.core.ids import canonical_json, made_at, uuid7
from volant.core.records import Feedback
from volant.errors import BadInput, Trouble
from volant.store.part import iso

MAX_TEXT = 1024
"""Characters that an id, a kind, an actor, a source or a key may have."""

MOST_AHEAD = timedelta(days=1)
"""How far in the future an event may lie: no further than clocks and time zones differ."""

MAX_RATIONALE = 10_000
"""Characters that the reasons somebody gives may have."""

_REQUIRED = ("prediction_id", "kind", "actor", "source")
_OPTIONAL = ("target", "idempotency_key", "supersedes", "rationale")


def checked(items: Sequence[Feedback], received_at: str) -> list[dict[str, Any]] | BadInput:
    """The items as rows of the feedback table, or the error that names all that is wrong with them."""
    places = [(item, f"items[{position}]") for position, item in enumerate(items)]
    troubles = [trouble for item, where in places for trouble in _troubles(item, where, received_at)]
    if troubles:
        return BadInput("feedback is not well-formed", code="feedback-invalid", troubles=troubles)
    return [_row(item, received_at) for item in items]


def _troubles(item: Feedback, where: str, received_at: str) -> list[Trouble]:
    troubles = []
    for name in (*_REQUIRED, *_OPTIONAL):
        value = getattr(item, name)
        longest = MAX_RATIONALE if name == "rationale" else MAX_TEXT
        if not _is_text(value, may_lack=name in _OPTIONAL, longest=longest):
            what = f"{name} must be a text of 1 to {longest} characters without NUL"
            troubles.append(Trouble(what, f"{where}.{name}", type(value).__name__))
    if item.valid not in (True, False):
        troubles.append(Trouble("valid must be true or false", f"{where}.valid", type(item.valid).__name__))
    if not _is_plain(item.value):
        what = "the value must be plain JSON data with finite numbers"
        troubles.append(Trouble(what, f"{where}.value", type(item.value).__name__))
    if item.event_at is not None and (what := _wrong_time(item, received_at)):
        fix = "write when it happened, as 2026-01-31T12:00:00Z"
        troubles.append(Trouble(what, f"{where}.event_at", type(item.event_at).__name__, (), fix))
    return troubles


def _wrong_time(item: Feedback, received_at: str) -> str:
    """What is wrong with the time of an event, if anything.

    Clocks may differ, zones be forgotten, and our own clock may have been put back since the prediction was made.
    """
    moment = _time(item.event_at)
    if moment is None:
        return "event_at must be an ISO 8601 time"
    known = max(datetime.fromisoformat(received_at), made_at(item.prediction_id) or datetime.min.replace(tzinfo=UTC))
    return "event_at lies in the future" if moment > iso(known + MOST_AHEAD) else ""


def _is_text(value: Any, *, may_lack: bool, longest: int) -> bool:
    if may_lack and value in (None, ""):
        return True
    if not isinstance(value, str) or not 0 < len(value) <= longest or "\x00" in value:
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
        "rationale": item.rationale or None,
        "valid": item.valid,
        "api_key": item.api_key,
    }
