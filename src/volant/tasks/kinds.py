"""Kinds of feedback that any task takes, whatever it predicts."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from volant.core.records import FeedbackKind
from volant.errors import BadInput

CONFIRMATION = FeedbackKind("confirmation", "true: the answer was right")
SIGNAL = FeedbackKind("signal", "what somebody did, as named values; `feedback.signals` says what it means")
REWARD = FeedbackKind("reward", "what the answer was worth: a number; it implies no label", looks=False)
EDIT = FeedbackKind(
    "edit",
    'what somebody changed the answer to, beside what was there: {"from": …, "to": …}, both as in a correction',
    looks=False,
)
COMMENT = FeedbackKind("comment", "a remark, up to 10,000 characters; it implies no label", looks=False)
SHARED = (CONFIRMATION, EDIT, SIGNAL, REWARD, COMMENT)

BEFORE, AFTER = "from", "to"
"""The two sides of an edit."""
LONGEST_COMMENT, MOST_FIELDS, LONGEST_FIELD, LARGEST = 10_000, 32, 256, 1e100


def parse_shared(kind: str, value: Any) -> Any:
    """The canonical value of feedback of a kind that any task takes; None where it is no such kind.

    Raises:
        BadInput: code `feedback-invalid`.
    """
    read = {"confirmation": _confirmed, "signal": _bundle, "reward": _reward, "comment": _comment}
    return read[kind](value) if kind in read else None


def parse_edit(value: Any, read: Callable[[Any], Any]) -> dict[str, Any]:
    """The canonical value of an edit: both sides as the task has what it predicts, be it a class, a number or a text.

    Args:
        value: an object of the two sides, or its JSON text, as files hold it.
        read: how the task reads one side.

    Raises:
        BadInput: code `feedback-invalid`.
    """
    value = _of_file(value)
    if not isinstance(value, Mapping) or set(value) != {BEFORE, AFTER}:
        fix = 'send {"from": what was there, "to": what it was changed to}'
        raise _wrong("an edit is an object of two sides", value, fix)
    return {BEFORE: read(value[BEFORE]), AFTER: read(value[AFTER])}


def _of_file(value: Any) -> Any:
    """What a text holds that is JSON; anything else as it is."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


def _wrong(what: str, value: Any, fix: str) -> BadInput:
    return BadInput(what, code="feedback-invalid", where="value", got=type(value).__name__, fix=fix)


def _confirmed(value: Any) -> bool:
    if value is True or (isinstance(value, str) and value.strip().casefold() in ("true", "yes")):
        return True
    raise _wrong("a confirmation says true", value, "send true, or a correction where the answer was wrong")


def _reward(value: Any) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or abs(number) > LARGEST:
        raise _wrong("a reward is a finite number", value, "send what the answer was worth")
    return number


def _comment(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_COMMENT or "\x00" in value:
        raise _wrong("a comment is a text", value, f"send 1 to {LONGEST_COMMENT:,} characters")
    return value


def _bundle(value: Any) -> dict[str, Any]:
    value = _of_file(value)  # as files hold it
    if not isinstance(value, Mapping) or not 0 < len(value) <= MOST_FIELDS:
        raise _wrong("a signal is an object of named values", value, 'send {"click": true, "dwell": 12.5}')
    for name, one in value.items():
        fine = isinstance(one, bool) or (isinstance(one, int | float) and math.isfinite(one) and abs(one) <= LARGEST)
        text = isinstance(one, str) and len(one) <= LONGEST_FIELD and "\x00" not in one
        if not (fine or text) or not isinstance(name, str) or not 0 < len(name) <= LONGEST_FIELD:
            raise _wrong("a field of a signal is a number, a short text, or true or false", one, "leave others out")
    return dict(value)
