"""Mixes: which releases answered with which probability when each prediction was made, by the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from volant.evidence.evidence import Predicted
from volant.release.traffic import SHADOW, share_of, standing
from volant.store.history import CHAMPIONS
from volant.store.records import DeploymentRow

ALONE = 1.0
"""The propensity of whoever answers alone; also what a log says that was written without propensities."""
CLOSE = 1e-6
SOON = 5_000_000
"""Microseconds within which services have followed the history."""


@dataclass(frozen=True)
class Mix:
    """From a time on (microseconds), which release answers which share of the requests."""

    at: int
    shares: dict[str, float]

    def agrees(self, release: str, propensity: float) -> bool:
        """Whether a prediction of that release can have been logged with that propensity."""
        return abs(self.shares.get(release, -1.0) - propensity) < CLOSE


@dataclass(frozen=True)
class Mixed:
    """The mixes there were, and the number of each prediction's among them, -1 where none agrees with the log, (n,)."""

    mixes: tuple[Mix, ...]
    mix: np.ndarray

    @property
    def releases(self) -> tuple[str, ...]:
        """All that any prediction may have been answered by, in order."""
        used = [self.mixes[number] for number in np.unique(self.mix[self.mix >= 0])]
        return tuple(sorted({release for one in used for release, share in one.shares.items() if share > 0}))

    def share_of(self, release: str) -> np.ndarray:
        """How likely a release was to answer, (n,); 0 where that is not known."""
        shares = np.array([*(one.shares.get(release, 0.0) for one in self.mixes), 0.0])
        return np.asarray(shares[self.mix])


def mixed(events: Sequence[DeploymentRow], predictions: Predicted) -> Mixed:
    """The mix behind each prediction: that of its time, or the one before, as a service takes a second to follow.

    A log that was written without propensities says 1 of everything; then the history alone tells.
    """
    known = tuple(_mixes(events))
    if not known:
        return Mixed((), np.full(len(predictions), -1, dtype=np.int64))
    begun = np.array([one.at for one in known])
    now = np.searchsorted(begun, predictions.at, side="right") - 1
    young = (now > 0) & (predictions.at < begun[now] + SOON)
    told = np.round(predictions.propensity, 9)
    places: dict[tuple[int, bool, str, float], int] = {}
    found = np.empty(len(predictions), dtype=np.int64)
    keys = zip(now.tolist(), young.tolist(), predictions.release.to_pylist(), told.tolist(), strict=True)
    for row, key in enumerate(keys):
        if key not in places:
            places[key] = _place(known, *key)
        found[row] = places[key]
    return Mixed(known, found)


def _place(known: Sequence[Mix], now: int, young: bool, release: str, propensity: float) -> int:
    for place in (now, now - 1)[: 1 + young]:
        if place >= 0 and known[place].agrees(release, propensity):
            return place
    alone = now >= 0 and propensity == ALONE and known[now].shares.get(release, 0.0) > 0
    return now if alone else -1


def _mixes(events: Sequence[DeploymentRow]) -> Iterator[Mix]:
    heard: list[DeploymentRow] = []  # a new champion ends every route, so what came before has no part any more
    for event in events:
        if event.kind in ("refuse", SHADOW):
            continue
        heard = [event] if event.kind in CHAMPIONS else [*heard, event]
        now = standing(heard)
        if now.champion is None:
            continue
        shares = {now.champion.release: round(max(now.free, 0.0), 9)}
        for arm in now.arms:
            shares[arm.release] = shares.get(arm.release, 0.0) + share_of(arm)
        yield Mix(int(datetime.fromisoformat(event.at).timestamp() * 1e6), shares)
