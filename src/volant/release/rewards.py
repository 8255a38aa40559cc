"""The reward part of the gate: what logged traffic says a candidate would have earned. Pure, and fails closed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from volant.core.records import LOGGED, REWARD, Verdict, Worth


def earns_less(worth: Worth | None, tolerance: float, alpha: float) -> Iterator[str]:
    """Why a candidate is refused: it surely earns less than is tolerated, or what it earns is no number."""
    if worth is None:
        return
    numbers = (worth.gain, worth.low, worth.high, worth.champion, worth.challenger)
    if not all(map(math.isfinite, numbers)) or worth.low > worth.high:
        yield "What the candidate would have earned on logged traffic is no usable number."
    elif worth.high < -tolerance:
        yield (
            f"On logged traffic the candidate surely earns less: {_said(worth)}, by {_number(-worth.high)} at the "
            f"least ({_confidence(alpha)} confidence); {_number(tolerance)} is tolerated."
        )


def earned(worth: Worth | None, tolerance: float, alpha: float) -> Iterator[str]:
    """What is said of a candidate that does not surely earn less."""
    if worth is None:
        return
    bound = f"at {_confidence(alpha)} confidence the difference lies between {_signed(worth.low)} and"
    start = f"On logged traffic {_said(worth)}, and {bound} {_signed(worth.high)}"
    if worth.low > -tolerance:
        yield f"{start}; minus {_number(tolerance)} is tolerated."
        return
    untold = f"; {100 * worth.untold:.3g} % of its decisions were hardly ever shown" if worth.untold else ""
    yield f"{start}{untold}. The log cannot tell whether it earns less, so it begins as a canary."


def on_trial(verdict: Verdict, tolerance: float) -> bool:
    """Whether a candidate passed that may earn less than is tolerated, as far as logged traffic can tell."""
    found = [one for one in verdict.comparisons if (one.metric, one.slice) == (REWARD, LOGGED)]
    return any(not one.low > -tolerance for one in found)


def _said(worth: Worth) -> str:
    return (
        f"it would have earned {_number(worth.challenger)} of the largest reward and the champion "
        f"{_number(worth.champion)} ({worth.people:,} people, {worth.rows:,} rows, {100 * worth.differs:.3g} % of them "
        f"decided differently)"
    )


def _signed(value: float) -> str:
    return f"{'minus ' if value < 0 else ''}{_number(abs(value))}"


def _confidence(alpha: float) -> str:
    return f"{100 * (1 - alpha):.4g} %"


def _number(value: float) -> str:
    return f"{value:,.3g}"
