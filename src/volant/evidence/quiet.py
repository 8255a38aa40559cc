"""What it means that nobody said anything, or did nothing: a no, if it has been waited for and looked at.

A product may say that silence is an answer (`feedback.silence`): then every prediction has a label once it is old
enough, and nothing counts that came later. What is younger is held, or used as a yes by how probable it is that one is
still to come. The same holds for what stood far down a list: not to act on what nobody saw is no answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volant.evidence.decisions import ACCEPTED, HELD, JUDGED, LEFT_OUT, Verdicts
from volant.evidence.evidence import Evidence
from volant.evidence.hidden import arrived, hidden, looked_at
from volant.evidence.opinions import Opinions
from volant.evidence.reference import Reference
from volant.evidence.rule import Context, LabelRule, micros

LEAST_WEIGHT = 0.01
"""A hidden yes that is less probable than that is left out."""


def counts_by_now(evidence: Evidence, rule: LabelRule) -> np.ndarray:
    """Which voices count by now, (m,): they have matured; or, where silence is an answer, they came in time."""
    window, now = int(rule.maturity_seconds * 1e6), micros(rule.now)
    if rule.silence is None:
        return np.asarray(evidence.received + window <= now)
    at = evidence.predictions.at[evidence.item]
    reviewed = np.array([name in rule.reviewers for name in evidence.sources], dtype=bool)
    in_time = evidence.happened <= at + window
    waited = (at + window <= now) | (rule.early == "weigh")
    return np.asarray((reviewed[evidence.source] if len(evidence) else in_time) | (in_time & waited))


@dataclass(frozen=True)
class Quiet:
    """Predictions of two classes about which nothing was said, or which nobody acted on.

    `yes` and `no` are label codes; `no` is what silence, or not to act, means.
    """

    evidence: Evidence
    given: Opinions
    reference: Reference
    rule: LabelRule
    context: Context

    def silence(self, found: Verdicts, code: int) -> Verdicts:
        """Labels of predictions that nobody spoke about; `code` is the label that silence means."""
        predictions, n = self.evidence.predictions, len(self.evidence.predictions)
        spoken = np.zeros(n, dtype=bool)
        spoken[self.given.item] = True
        age = micros(self.rule.now) - predictions.at
        window = int(self.rule.maturity_seconds * 1e6)
        quiet = np.flatnonzero(~spoken & (age >= window))
        young = np.flatnonzero(~spoken & (age < window))
        judging = self.context.sides == "judge"
        found = found.say(young, HELD, "not mature yet")
        found = found.say(quiet[judging[quiet]], JUDGED, "nobody said anything")
        found = found.say(quiet[~judging[quiet]], ACCEPTED, "nobody said anything")
        found = found.label_as(quiet, np.full(len(quiet), code), np.full(len(quiet), self._weight()))
        yes = self._other(code)
        if self.rule.early == "weigh" and yes >= 0:
            young = young[~judging[young]]
            found = found.say(young, ACCEPTED, "nobody said anything so far")
            found = found.label_as(young, np.full(len(young), code), np.full(len(young), self._weight()))
            likely = self._likely(yes, young)
            found = self._split(found, young, yes, hidden(likely, self._come_by(code, age[young], window)))
        frozen = np.flatnonzero((self.context.sides == "test") & ~spoken)
        return found.say(frozen, LEFT_OUT, "the row lies in the frozen test part")

    def _weight(self) -> float:
        """What a label by silence weighs: as much as what it is told from, or rates would be wrong."""
        return max((signal.weight for signal in self.rule.signals), default=1.0)

    def places(self, found: Verdicts) -> Verdicts:
        """Labels that follow from not acting, weighed by how likely somebody looked."""
        rows = np.flatnonzero(~np.isnan(self.given.place))
        if not len(rows) or len(self.context.classes) != 2:
            return found
        item, idle = self.given.item[rows], self.given.idle[rows]
        loud = np.setdiff1d(self.given.item, item[idle])
        for code in np.unique(self.given.label[rows][idle]):
            yes = self._other(int(code))
            if yes < 0:
                continue
            likely = self._likely(yes, item)
            looks = looked_at(likely, self.given.place[rows], ~idle)
            quiet = idle & (self.given.label[rows] == code) & ~np.isin(item, loud)
            used = quiet & found.is_status(ACCEPTED)[item]
            found = self._split(found, item[used], yes, hidden(likely[used], looks[used]))
        return found

    def _other(self, code: int) -> int:
        """The code of the other one of two classes, -1 where there are more."""
        labels, classes = list(self.given.labels), list(self.context.classes)
        if len(classes) != 2 or labels[code] not in classes:
            return -1
        other = classes[1 - classes.index(labels[code])]
        return labels.index(other) if other in labels else -1

    def _likely(self, yes: int, items: np.ndarray) -> np.ndarray:
        """What the reference expects of a yes, (k,)."""
        column = list(self.context.classes).index(self.given.labels[yes])
        return np.asarray(self.reference.expected[items, column])

    def _come_by(self, code: int, ages: np.ndarray, window: int) -> np.ndarray:
        """The share of all answers, other than what silence means, that come within these ages."""
        rows = np.flatnonzero(self.given.label != code)
        at = self.evidence.predictions.at[self.given.item[rows]]
        delays = np.maximum(self.given.happened[rows] - at, 0)
        waited = np.minimum(micros(self.rule.now) - at, window)
        return arrived(delays, np.maximum(waited, delays), ages)

    def _split(self, found: Verdicts, items: np.ndarray, yes: int, share: np.ndarray) -> Verdicts:
        """A part of the weight of some labels given to the other one."""
        worth = share >= LEAST_WEIGHT
        return found.also(items[worth], np.full(int(worth.sum()), yes), share[worth])
