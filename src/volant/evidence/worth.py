"""What one release would have earned more than another, from what was logged while these and others answered.

A decision is logged under the probability that it was shown: the sum of the shares of all releases that would have
shown it. Where the judged release decides as one that answered, its reward was seen; a model of the reward, fitted on
people who came before, is corrected by what was seen (doubly robust), so the model may be as wrong as it likes. Where
it decides what hardly anybody showed, nothing was seen: the reward may then be anything between the least and the
largest, and the bounds say so. In lists, a reward counts by the inverse of how likely its place is looked at.

Source: Dudik, Langford and Li, ICML 2011; the model of each block is fitted on the blocks before, so that bets against
a claim stay fair (Waudby-Smith and Ramdas, JRSS B 86, 2024); bounds without support as in Manski, AER 80, 1990.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from volant.core.records import Worth
from volant.evidence.offpolicy import appeal, effective
from volant.evidence.people import People
from volant.evidence.sequential import bounds_of_average

LEAST_LIKELY = 0.05
"""A decision that is shown less often counts as never shown: a reward would weigh too much."""
LEAST_LOOK = 0.1
"""How rarely a place is taken to be looked at, at the least."""
BLOCKS = 20
HELD = 5.0
"""Rows that a mean of the model is held back by."""


@dataclass(frozen=True)
class Shown:
    """Decisions that were shown, as codes, by person: (n,) unless said otherwise.

    `reward` is in [0, 1]. `arms` (n, A) is what each release that answered then decides, and `shares` (n, A) how likely
    it was to answer. `ours` and `theirs` is what the judged release and the one that serves decide. `alike` are codes
    of rows that look alike to a model of the reward, `looks` how likely somebody looked.
    """

    reward: np.ndarray
    decision: np.ndarray
    arms: np.ndarray
    shares: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray
    alike: np.ndarray
    looks: np.ndarray

    def likely(self, decision: np.ndarray) -> np.ndarray:
        """How likely each decision was shown, whoever answered, (n,)."""
        return np.asarray((self.shares * (self.arms == decision[:, None])).sum(axis=1))

    @property
    def sound(self) -> np.ndarray:
        """Rows whose log can be true, (n,): what was shown can have been, and its reward is a number."""
        return np.asarray((self.likely(self.decision) > 0) & np.isfinite(self.reward))


def worth(shown: Shown, whose: People, alpha: float) -> Worth:
    """What the judged release earns more than the other one, per person, with bounds that hold for any number of them.

    All rows must be `sound`.
    """
    person, n = whose.person, len(shown.reward)
    if not n:
        return Worth(0, 0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    seen = np.clip(shown.reward, 0.0, 1.0) / shown.looks
    believed = _Believed.of(shown, seen, person)
    ours, theirs = _Value.of(shown, seen, shown.ours, believed), _Value.of(shown, seen, shown.theirs, believed)
    differs = shown.ours != shown.theirs
    least = np.where(differs, ours.low - theirs.high, 0.0)
    most = np.where(differs, ours.high - theirs.low, 0.0)
    reach = 1.0 + max(one.largest(differs) for one in (ours, theirs))
    low = bounds_of_average(whose.mean(least), -reach, reach, alpha).low
    high = bounds_of_average(whose.mean(most), -reach, reach, alpha).high
    earned = [float(whose.mean(one.middle).mean()) for one in (ours, theirs)]
    gain = float(whose.mean(np.where(differs, ours.middle - theirs.middle, 0.0)).mean())
    untold = float((differs & ~(ours.told & theirs.told)).mean())
    counted = effective(whose.mean(np.where(shown.decision == shown.ours, 1 / ours.likely, 0.0)))
    return Worth(
        n,
        len(whose),
        gain,
        max(low, -1.0),
        min(high, 1.0),
        earned[1],
        earned[0],
        float(differs.mean()),
        untold,
        counted,
    )


@dataclass(frozen=True)
class _Value:
    """What a release earns by each row, (n,) each: bounds, middle, whether and how likely its decision was shown."""

    low: np.ndarray
    high: np.ndarray
    middle: np.ndarray
    told: np.ndarray
    likely: np.ndarray
    looks: np.ndarray

    @staticmethod
    def of(shown: Shown, seen: np.ndarray, decision: np.ndarray, believed: _Believed) -> _Value:
        likely = shown.likely(decision)
        told = likely >= LEAST_LIKELY
        likely = np.maximum(likely, LEAST_LIKELY)
        base = believed.of_decision(decision)
        off = np.where(told & (shown.decision == decision), (seen - base) / likely, 0.0)
        value = base + off
        return _Value(np.where(told, value, 0.0), np.where(told, value, 1.0), value, told, likely, shown.looks)

    def largest(self, rows: np.ndarray) -> float:
        """The largest value that one row can have, of some rows; it does not depend on what was earned."""
        return float((1 / (self.likely * self.looks))[rows & self.told].max(initial=1.0))


@dataclass(frozen=True)
class _Believed:
    """A model of the reward for each block of people, by what looks alike and decision: (blocks, alike, decisions)."""

    tables: np.ndarray
    block: np.ndarray
    alike: np.ndarray

    @staticmethod
    def of(shown: Shown, seen: np.ndarray, person: np.ndarray) -> _Believed:
        block = person * BLOCKS // (int(person.max()) + 1)
        tables = np.stack(list(_tables(shown, np.minimum(seen, 1.0), block)))
        return _Believed(tables, block, shown.alike)

    def of_decision(self, decision: np.ndarray) -> np.ndarray:
        return np.asarray(self.tables[self.block, self.alike, decision])


def _tables(shown: Shown, seen: np.ndarray, block: np.ndarray) -> Iterator[np.ndarray]:
    """The mean rewards of all blocks before each one, (alike, decisions), held back towards those of the decision."""
    decisions = max(int(one.max(initial=0)) for one in (shown.decision, shown.arms, shown.ours, shown.theirs)) + 1
    shape = int(shown.alike.max(initial=0)) + 1, decisions
    total, count = np.zeros(shape), np.zeros(shape)
    cell = shown.alike * decisions + shown.decision
    for number in range(BLOCKS):
        overall = total.sum() / max(count.sum(), 1.0)
        by_decision = (total.sum(axis=0) + HELD * overall) / (count.sum(axis=0) + HELD)
        yield (total + HELD * by_decision) / (count + HELD)
        rows = np.flatnonzero(block == number)
        total += np.bincount(cell[rows], seen[rows], shape[0] * shape[1]).reshape(shape)
        count += np.bincount(cell[rows], minlength=shape[0] * shape[1]).reshape(shape)


def looks_at(place: np.ndarray, alike: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """How likely somebody looked at each row, (n,), by its place in a list; 1 where no place was told.

    Args:
        place: in a list, (n,), NaN where it was not told.
        alike: codes of rows that are about equally good, (n,).
        reward: in [0, 1], (n,).
    """
    told = np.flatnonzero(~np.isnan(place))
    looks = np.ones(len(place))
    if len(told):
        where = np.unique(place[told], return_inverse=True)[1]
        item = np.unique(alike[told], return_inverse=True)[1]
        looks[told] = np.maximum(appeal(item, where, reward[told])[1], LEAST_LOOK)[where]
    return looks
