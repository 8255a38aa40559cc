"""The records of a search: what is tried, what was found, and the rules it kept to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from volant.search.bands import Band
from volant.search.calibrate import Calibration
from volant.search.fits import Configuration, Fit
from volant.search.segments import Offsets

MOST_BYTES = 10_000_000
"""Bytes of a release where the product file sets no limit of its own: small enough to be anywhere at once."""
MOST_MILLISECONDS = 1.0
"""Milliseconds for one row where the product file sets no limit: models that answer in their caller's own process."""
AGAIN = 1.35
"""How much longer than a fit on a fold the last one, on all rows, is expected to take."""
BESIDES = 0.2
"""Share of a fit's seconds that goes into features and the export, however early it was best."""

NO_MEMORY = "it would not fit into memory"
"""Why a configuration is skipped that needs more memory than there is."""


@dataclass(frozen=True)
class Rules:
    """What the product file says about training, and what a release may weigh and take.

    `keep`: a later search may go on from the fits of this one. With `shards`, each fit learns from one of so many parts
    of the rows alone, and is kept in `shard_folder`.
    """

    seed: int = 0
    threads: int = 2
    ensemble: bool = True
    metric: str = ""
    by_time: bool = False
    keep: bool = False
    shards: int = 0
    shard_folder: Path = Path()
    most_bytes: float = MOST_BYTES
    most_milliseconds: float = MOST_MILLISECONDS


@dataclass
class Trial:
    """One configuration's way through the search.

    In the end it has a `weight`; `bagged` if its fits on folds make the result, and not one more on all rows.
    """

    configuration: Configuration
    fits: list[Fit] = field(default_factory=list)
    predicted: np.ndarray | None = None
    score: float | None = None
    status: str = "waiting"
    reason: str = ""
    weight: float = 0.0
    bagged: bool = False

    @property
    def learner(self) -> str:
        return self.configuration.learner.name

    @property
    def seconds(self) -> float:
        return sum(f.seconds for f in self.fits)

    @property
    def longest(self) -> float:
        """Seconds of the longest fit."""
        return max((f.seconds for f in self.fits), default=0.0)

    @property
    def again(self) -> float:
        """Seconds that a last fit is expected to take: it ends where those on folds were best, on average."""
        return AGAIN * sum(f.seconds * _share(f.facts) for f in self.fits) / max(len(self.fits), 1)

    @property
    def per_row(self) -> float:
        """Seconds to predict one of many rows."""
        return max((f.per_row for f in self.fits), default=0.0)

    @property
    def restarts(self) -> bool:
        """Whether fits that begin at other seeds differ enough for their mean to be better."""
        return bool(getattr(self.configuration.learner, "restarts", False))

    @property
    def bytes(self) -> int:
        """Bytes of the largest exported fit."""
        return max((f.bytes for f in self.fits), default=0)


def _share(facts: Mapping[str, Any]) -> float:
    """The share of a fit's seconds in which it became what it is in the end."""
    return BESIDES + (1 - BESIDES) * float(facts.get("used", 1.0))


@dataclass(frozen=True)
class Member:
    """A pipeline of the result and its weight."""

    fit: Fit
    weight: float


@dataclass(frozen=True)
class HeldOut:
    """What the result says about training rows that it was not fitted on, out of fold and calibrated.

    `positions` (n,) are those rows among the training rows; `predicted` (n, …) is the task's output for them.
    """

    positions: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Found:
    """What a search found. `members` are averaged, then calibrated; `baseline` stands beside.

    `score` is that of the members out of fold, `full_score` that of the best ensemble if no limit held.
    `held_out` is None where only the baseline was trained. `band` is the interval around numbers, `offsets`
    those of segments, where asked for.
    """

    members: tuple[Member, ...]
    calibration: Calibration
    trials: tuple[Trial, ...]
    baseline: Fit
    folds: int
    only_baseline: bool
    score: float | None
    baseline_score: float
    full_score: float | None = None
    held_out: HeldOut | None = None
    band: Band | None = None
    offsets: Offsets | None = None
