"""What the demonstration tells: frozen records that the command line draws."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from volant.testing.paired import Paired, Share
from volant.wheel.results import Result


@dataclass(frozen=True)
class Round(Result):
    """One turn of the wheel.

    `answers` were given in this round, `wrong` of them not the truth; `accepted` to `judged` count the
    labels that the view made of all answers so far. Accuracies are on the hidden test set; `champion` is
    the release that served this round. `outcome` is that of the turn, `reason` what the gate said first.
    """

    number: int
    answers: int
    wrong: int
    accepted: int
    rejected: int
    held: int
    judged: int
    champion: Share
    challenger: Share | None
    outcome: str
    reason: str
    release: str
    seconds: float


@dataclass(frozen=True)
class Poisoned(Result):
    """A challenger that was trained on flipped labels: `share` of all training labels."""

    share: float
    candidate: str
    champion: Share
    challenger: Share
    refused: bool
    reason: str


@dataclass(frozen=True)
class RolledBack(Result):
    """A rollback and the way back: which release answered after each, while the service ran on."""

    champion: str
    previous: str
    answered: str
    restored: str


@dataclass(frozen=True)
class DemoResult(Result):
    """The whole story. `passed` tells that the last champion beats the first beyond chance, on the same hidden
    rows, and that the poisoned challenger was refused and the rollback served."""

    folder: Path
    labelled: int
    hidden: int
    users: int
    stubborn: int
    first: Share
    rounds: tuple[Round, ...]
    poisoned: Poisoned
    rollback: RolledBack
    last: Share
    gain: Paired
    passed: bool
    seconds: float
    next: tuple[str, ...]
