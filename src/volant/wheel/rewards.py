"""Rewards: which release earns more, by what its answers were worth and how likely each release was to answer.

A product that says how large rewards may be (`improve.reward`) is judged by them in the place of labels. Every
prediction that is old enough counts, those that brought nothing as the least reward, so that nobody chooses what is
counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import numpy as np
import pyarrow.compute as pc

from volant.core.product import parse_duration
from volant.evidence.evidence import Evidence, gather
from volant.evidence.offpolicy import Logged, snips
from volant.release.traffic import ARMS, share_of
from volant.store.part import iso
from volant.store.records import DeploymentRow
from volant.wheel.context import Context

KIND = "reward"


@dataclass(frozen=True)
class Rewarded:
    """Predictions since a deployment with what they earned in [0, 1], oldest first."""

    reward: np.ndarray
    ours: np.ndarray
    likely: np.ndarray

    def gains(self) -> np.ndarray:
        """What the release of the deployment earned more than the others, per prediction, (n,), without bias."""
        return np.asarray(self.reward * np.where(self.ours, 1 / self.likely, -1 / (1 - self.likely)))

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
    span = context.product.file.improve.reward
    if span is None or event.kind not in ARMS:
        return None
    context.store.index_segments()
    now = context.clock.now()
    ripe = iso(now - timedelta(seconds=parse_duration(context.product.file.feedback.maturity)))
    table = context.store.prediction_table(event.at, ripe)
    wanted = pc.or_(pc.equal(table.column("release"), event.release), pc.equal(table.column("release"), event.previous))
    table = table.filter(wanted)
    if not len(table):
        return None
    feedback = context.store.feedback_table()
    evidence = gather(feedback.filter(pc.equal(feedback.column("kind"), KIND)), table, now)
    order = np.argsort(evidence.predictions.at, kind="stable")
    ours = pc.equal(evidence.predictions.release, event.release).to_numpy(zero_copy_only=False)
    likely = np.full(len(order), float(np.clip(share_of(event), 0.01, 0.99)))
    return Rewarded(_rewards(evidence, span)[order], np.asarray(ours)[order], likely)


def _rewards(evidence: Evidence, span: Sequence[float]) -> np.ndarray:
    """What each prediction earned, in [0, 1], (n,): the mean over those who said so, nothing where nobody did."""
    low, high = span
    values = np.array([_number(text, low) for text in evidence.values], dtype=np.float64)
    said = np.clip((values[evidence.value] - low) / (high - low), 0.0, 1.0) if len(evidence) else np.empty(0)
    count = np.bincount(evidence.item, minlength=len(evidence.predictions))
    total = np.bincount(evidence.item, said, len(evidence.predictions))
    return np.asarray(total / np.maximum(count, 1))


def _number(text: str, otherwise: float) -> float:
    found = msgspec.json.decode(text)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else otherwise
