"""Reason codes: what pushed towards an answer, in words that a person affected by it can check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.columns.media import Stored
from volant.core.records import Field
from volant.data.profile import LEVELS

MOST = 4
"""Reasons that are given if nobody asks for more or fewer.

Source: Regulation B (12 CFR 1002), official interpretation 9(b)(2)-1: more than four are not likely to help.
"""

SURE = 2.0
"""Standard errors that a sampled contribution must exceed to be given as a reason."""

_EXTREME, _SIDE, _WIDE, _RARE = 0.05, 0.3, 0.4, 0.05
_WORDS = {
    "number": ("very low", "low", "usual", "high", "very high"),
    "timestamp": ("very early", "early", "usual", "late", "very late"),
}


@dataclass(frozen=True)
class Reason:
    """A column, what it adds, and the two in words."""

    column: str
    contribution: float
    text: str


def reasons(
    fields: Sequence[Field],
    values: Sequence[Any],
    parts: np.ndarray,
    errors: np.ndarray,
    *,
    profile: Mapping[str, Any],
    towards: bool,
    most: int = MOST,
) -> tuple[Reason, ...]:
    """The columns that say most, strongest first; with `towards` only those that pushed up.

    `values` are the canonical cells of the explained row; `profile` is the release's reference profile.
    """
    order = np.argsort(-parts if towards else -np.abs(parts), kind="stable")
    sure = (parts if towards else np.abs(parts)) > np.maximum(SURE * errors, 1e-12)
    facts = profile.get("columns", {})
    return tuple(
        Reason(
            field.name, float(parts[i]), f"{in_words(field, values[i], facts.get(field.name, {}))}: {signed(parts[i])}"
        )
        for i, field in ((i, fields[i]) for i in order if sure[i])
    )[:most]


def in_words(field: Field, value: Any, facts: Mapping[str, Any]) -> str:
    """A column's value, and how usual it is among the training rows.

    >>> in_words(Field("age", "number"), 91.0, {"quantiles": list(range(20, 85, 5))})
    'age 91 is very high'
    """
    if is_missing(value):
        return f"{field.name} is missing"
    if field.type in _WORDS:
        return f"{field.name} {shown(value)}{_rank(field.type, value, facts.get('quantiles') or [])}"
    if field.type == "category":
        return f"{field.name} {_category(str(value), field, facts.get('shares') or {})}"
    if field.type == "boolean":
        return f"{field.name} is {cell(value, field.type)}"
    return f"the {field.type} in {field.name}"


def is_missing(value: Any) -> bool:
    """Whether a canonical cell is missing."""
    return value is None or bool(value != value)


def cell(value: Any, kind: str) -> str:
    """A cell of a type for people, empty where it is missing."""
    if is_missing(value):
        return ""
    return ("yes" if value else "no") if kind == "boolean" else shown(value)


def signed(value: float) -> str:
    """What a column adds, with its sign and three significant digits.

    >>> signed(0.31249), signed(-12345.6)
    ('+0.312', '-12,346')
    """
    return f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}"


def shown(value: Any) -> str:
    """A value for people."""
    if isinstance(value, bytes | Stored):
        return f"a file of {len(bytes(value)):,} bytes"
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]")).replace("T00:00:00", "").replace("T", " ")
    if not isinstance(value, int | float | np.number):
        return str(value)
    number = float(value)
    if number == round(number) and abs(number) < 1e15:
        return f"{number:,.0f}"
    return f"{number:,.0f}" if abs(number) >= 1e5 else f"{number:.4g}"


def _rank(kind: str, value: Any, quantiles: Sequence[Any]) -> str:
    """Where a value stands among the quantiles of the training rows, in words."""
    if len(quantiles) != len(LEVELS):
        return ""
    known = np.array(quantiles, dtype="datetime64[us]" if kind == "timestamp" else np.float64)
    below, equal = int((known < value).sum()), int((known == value).sum())
    levels = (0.0, *LEVELS, 1.0)
    low, high = levels[below], levels[below + equal + 1]
    middle = (low + high) / 2
    words = _WORDS[kind]
    if equal and high - low >= _WIDE:
        return f" is {words[2]}"
    place = int(np.searchsorted([_EXTREME, _SIDE, 1 - _SIDE, 1 - _EXTREME], middle, side="right"))
    return f" is {words[place]}"


def _category(value: str, field: Field, shares: Mapping[str, float]) -> str:
    if field.choices and value not in field.choices:
        return f"{value} was never seen in training"
    return f"{value} is rare" if shares.get(value, 1.0) < _RARE else f"is {value}"
