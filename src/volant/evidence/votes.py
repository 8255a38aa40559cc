"""Several opinions on one prediction merged into one label, by votes weighed with trust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ballot:
    """One opinion and how far its actor is trusted, in [0, 1]."""

    label: Any
    trust: float


@dataclass(frozen=True)
class Outcome:
    """The label with most support, its share of all trust, and the weight that it deserves as a label."""

    label: Any
    share: float
    weight: float


def class_vote(ballots: Sequence[Ballot]) -> Outcome:
    """The label with most trust behind it; of equals, the first by name.

    >>> class_vote([Ballot("a", 0.9), Ballot("a", 0.6), Ballot("b", 0.5)])
    Outcome(label='a', share=0.75, weight=0.72)
    """
    support = {label: [b.trust for b in ballots if b.label == label] for label in {b.label for b in ballots}}
    best = min(support, key=lambda label: (-math.fsum(support[label]), str(label)))
    return _outcome(best, support[best], ballots)


def number_vote(ballots: Sequence[Ballot], tolerance: float) -> Outcome:
    """The median by trust; support are the ballots within `tolerance` of it."""
    ordered = sorted(ballots, key=lambda b: (float(b.label), b.trust))
    half, passed, middle = math.fsum(b.trust for b in ordered) / 2, 0.0, float(ordered[-1].label)
    for ballot in ordered:
        passed += ballot.trust
        if passed >= half:
            middle = float(ballot.label)
            break
    near = [b.trust for b in ordered if abs(float(b.label) - middle) <= tolerance]
    return _outcome(middle, near, ballots)


def _outcome(label: Any, support: Sequence[float], ballots: Sequence[Ballot]) -> Outcome:
    share = math.fsum(support) / max(math.fsum(b.trust for b in ballots), 1e-12)
    doubt = math.prod(1 - trust for trust in sorted(support))
    return Outcome(label, round(min(share, 1.0), 12), round(share * (1 - doubt), 12))
