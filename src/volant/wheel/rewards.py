"""Rewards: which release earns more, by what its answers were worth and how likely each release was to answer.

A product that says how large rewards may be (`improve.reward`) is judged by them in the place of labels. Every
prediction that is old enough counts, those that brought nothing as the least reward, so that nobody chooses what is
counted. A reward is said by feedback of kind `reward`, or by what people do, where a signal means one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.product import parse_duration
from volant.core.records import REWARD
from volant.evidence.evidence import SIGNAL, Evidence, Predicted, gather
from volant.evidence.offpolicy import Logged, snips
from volant.evidence.opinions import SignalRule, added_up, places
from volant.evidence.people import People, people
from volant.release.traffic import ARMS
from volant.store.part import iso
from volant.store.records import DeploymentRow
from volant.wheel.context import Context
from volant.wheel.learn import rule_of, without_erased
from volant.wheel.mixes import mixed


@dataclass(frozen=True)
class Earned:
    """What predictions that are old enough earned, in [0, 1], (n,), and where in a list each stood, NaN where untold.

    `said` is how many said so. People count once (`volant.evidence.people`).
    """

    predictions: Predicted
    reward: np.ndarray
    place: np.ndarray
    people: People
    said: int


def earned(context: Context, since: str = "", releases: Sequence[str] | None = None) -> Earned | None:
    """What the predictions of some releases from `since` on earned; None without rewards or predictions."""
    span = context.product.file.improve.reward
    if span is None:
        return None
    context.store.index_segments()
    now = context.clock.now()
    ripe = now - timedelta(seconds=parse_duration(context.product.file.feedback.maturity))
    table = without_erased(context, context.store.prediction_table(since, iso(ripe)))
    if releases is not None:
        table = table.filter(pc.is_in(table.column("release"), value_set=pa.array(releases, pa.string())))
    if not len(table):
        return None
    feedback = context.store.feedback_table()
    wanted = pc.is_in(feedback.column("kind"), value_set=pa.array([REWARD, SIGNAL]))
    evidence = gather(feedback.filter(wanted), table, now)
    signals = [rule for rule in rule_of(context).signals if rule.kind == REWARD]
    reward, place, said = _rewards(evidence, span, signals)
    counted = people(evidence.predictions.subject, evidence.predictions.at, int(ripe.timestamp() * 1e6))
    return Earned(evidence.predictions, reward, place, counted, said)


@dataclass(frozen=True)
class Rewarded:
    """What people earned since a deployment, (m,) by person: rewards in [0, 1], whether the deployed release answered,
    and how likely that was, of the two that are compared."""

    reward: np.ndarray
    ours: np.ndarray
    likely: np.ndarray
    people: People

    def gains(self) -> np.ndarray:
        """What the release of the deployment earned more than the other one, per person, (people,), without bias.

        What people before earned on average is taken off first: it is the same for both, and leaves less to chance.
        """
        mine = self.people.mean(self.reward)
        before = np.concatenate([[0.0], np.cumsum(mine)[:-1]]) / np.maximum(np.arange(len(mine)), 1)
        left = self.reward - before[self.people.person]
        return self.people.mean(left * np.where(self.ours, 1 / self.likely, -1 / (1 - self.likely)))

    @property
    def most(self) -> float:
        """The largest gain that there can be."""
        return float(max((1 / self.likely).max(), (1 / (1 - self.likely)).max())) if len(self.likely) else 1.0

    def earned(self, *, ours: bool) -> float:
        """What one side earns per prediction, self-normalised."""
        taken, likely = (self.ours, self.likely) if ours else (~self.ours, 1 - self.likely)
        logged = Logged(self.reward, np.where(taken, likely, 1 - likely), taken.astype(np.float64))
        return snips(logged).value


def rewarded(context: Context, event: DeploymentRow) -> Rewarded | None:
    """What was earned since a canary or a split began; None where there is no arm to compare, or no prediction."""
    if event.kind not in ARMS or event.previous is None:
        return None
    found = earned(context, event.at, [event.release, event.previous])
    if found is None:
        return None
    known = mixed(context.store.deployments(), found.predictions)
    rows, person = found.people.rows, found.people.person
    ours, theirs = (known.share_of(one)[rows] for one in (event.release, event.previous))
    both = (ours > 0) & (theirs > 0)
    rows, person = rows[both], np.unique(person[both], return_inverse=True)[1]
    mine = pc.equal(found.predictions.release, event.release).to_numpy(zero_copy_only=False).astype(bool)[rows]
    likely = np.clip(ours[both] / (ours[both] + theirs[both]), 0.01, 0.99)
    return Rewarded(found.reward[rows], mine, likely, replace(found.people, rows=rows, person=person))


def _rewards(
    evidence: Evidence, span: Sequence[float], signals: Sequence[SignalRule]
) -> tuple[np.ndarray, np.ndarray, int]:
    """What each prediction earned, in [0, 1], (n,): the mean over those who said so, nothing where nobody did; where it
    stood; and how many voices there are."""
    stated, place, bundles = _stated(evidence), np.full(len(evidence.predictions), np.nan), _NOTHING
    if signals and SIGNAL in evidence.kinds:
        bundles, where = _done(evidence, signals)
        place[bundles[0][~np.isnan(where)]] = where[~np.isnan(where)]
    item = np.concatenate([stated[0], bundles[0]]).astype(np.int64)
    said = np.clip((np.concatenate([stated[1], bundles[1]]) - span[0]) / (span[1] - span[0]), 0.0, 1.0)
    count = np.bincount(item, minlength=len(evidence.predictions))
    total = np.bincount(item, said, len(evidence.predictions))
    return np.asarray(total / np.maximum(count, 1)), place, len(item)


_NOTHING = np.empty(0, dtype=np.int64), np.empty(0)


def _stated(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and the rewards that somebody named, one per voice."""
    if REWARD not in evidence.kinds:
        return _NOTHING
    rows = np.flatnonzero(evidence.kind == evidence.kinds.index(REWARD))
    values = np.array([_number(evidence.values[code]) for code in evidence.value[rows]], dtype=np.float64)
    known = np.isfinite(values)
    return evidence.item[rows[known]], values[known]


def _done(evidence: Evidence, signals: Sequence[SignalRule]) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Predictions and the rewards that follow from what somebody did with them, and where they stood, one per actor."""
    rows = np.flatnonzero(evidence.kind == evidence.kinds.index(SIGNAL))
    starts = np.flatnonzero(
        (np.diff(evidence.item[rows], prepend=-1) != 0) | (np.diff(evidence.actor[rows], prepend=-1) != 0)
    )
    fields = added_up(evidence, rows)
    value, place = np.full(len(starts), np.nan), np.full(len(starts), np.nan)
    for rule in signals:
        holds = rule.when.matches(fields, len(starts))
        means = np.where(holds, rule.value, np.nan if rule.otherwise is None else rule.otherwise)
        place = np.where(np.isnan(place), places(fields, rule, len(starts)), place)
        value = np.where(np.isnan(value), means, value)
    known = ~np.isnan(value)
    return (evidence.item[rows[starts[known]]], value[known]), place[known]


def _number(text: str) -> float:
    found = msgspec.json.decode(text)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else math.nan
