"""The rule by which evidence becomes labels, and what a view knows besides the evidence."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from volant.evidence.opinions import SignalRule
from volant.evidence.reference import Second


@dataclass(frozen=True)
class LabelRule:
    """How evidence becomes labels.

    Attributes:
        maturity_seconds: how long an answer may still be corrected before it counts.
        min_trust: trust below which an actor's answers are not used.
        new_class_rows: predictions that must agree on a class never seen before.
        new_class_judges: how many of these must lie on the side that judges, else no gate could pass the class.
        now: the moment of the view; evidence received later does not exist for it.
        agreement: share of what was said that must stand behind one label, else it is a conflict.
        reviewers: sources whose word decides.
        signals: what bundles of events mean.
        silence: the label of a prediction about which nobody says anything until it is `maturity_seconds` old.
        early: what becomes of predictions that are not that old: `hold` or `weigh`.
        robust: how much less labels count that a second look finds unlikely; 0 is not at all, 1 most.
        robust_by: what that means: `weigh`, `select` or `correct`.
    """

    maturity_seconds: float
    min_trust: float
    new_class_rows: int
    now: datetime
    new_class_judges: int = 0
    agreement: float = 2 / 3
    reviewers: tuple[str, ...] = ("reviewer",)
    signals: tuple[SignalRule, ...] = ()
    silence: Any = None
    early: str = "hold"
    robust: float = 0.0
    robust_by: str = "weigh"

    def record(self) -> dict[str, Any]:
        """The rule as plain JSON data."""
        signals = [{**asdict(replace(s, when=None)), "when": s.when.text} for s in self.signals]  # type: ignore[arg-type]
        plain = asdict(replace(self, signals=()))
        return {**plain, "now": self.now.isoformat(), "reviewers": list(self.reviewers), "signals": signals}


@dataclass(frozen=True)
class Context:
    """What a view knows besides the evidence.

    `sides` (n,) is the side of each prediction's row. `second` is what models say that came after the champion.
    `doubted` are predictions whose label is probably wrong; `plausible` are the least and the largest number that is
    believed without review.
    """

    classes: Sequence[str]
    sides: np.ndarray
    second: Second | None = None
    doubted: Collection[str] = ()
    plausible: tuple[float, float] | None = None


def micros(moment: datetime) -> int:
    """A moment in microseconds since 1970."""
    return int(moment.timestamp() * 1e6)
