"""Decides on all predictions at once: which labels are used, which are held or rejected, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.protocols import Task
from volant.evidence.contested import Contested, Spoken, contested
from volant.evidence.decisions import ACCEPTED, HELD, JUDGED, LEFT_OUT, REJECTED, Verdicts
from volant.evidence.evidence import Evidence, once
from volant.evidence.merge import Merged, merge_classes, merge_numbers
from volant.evidence.noisy import kept, truth, weighed
from volant.evidence.opinions import Opinions
from volant.evidence.quiet import LEAST_WEIGHT, Quiet
from volant.evidence.reference import Reference, class_reference, number_reference, spread
from volant.evidence.rule import Context, LabelRule
from volant.evidence.standing import stand

LEAST_SURE = 0.5
"""A label that is less probable than that is probably wrong."""
PLOT = 3
"""Members from which on a group's word needs somebody else's."""


@dataclass(frozen=True)
class Robust:
    """What becomes of labels (m,): the `weight` that is left, and the `share` that goes to the `other` label."""

    weight: np.ndarray
    other: np.ndarray
    share: np.ndarray


class Court:
    """Decides on all predictions at once."""

    def __init__(self, evidence: Evidence, given: Opinions, task: Task, rule: LabelRule, context: Context) -> None:
        self.evidence, self.given, self.rule, self.context = evidence, given, rule, context
        self.numeric = task.target_type == "number"
        predictions = evidence.predictions
        self.gold = self._gold()
        self.reference: Reference = (
            number_reference(predictions, given, context.second)
            if self.numeric
            else class_reference(predictions, given, context.classes, context.second)
        )
        self.standing = stand(given, self.reference, predictions.audit, self.gold)

    def _gold(self) -> np.ndarray:
        """The label code that a reviewer found, by prediction, (n,); -1 where none looked."""
        gold = np.full(len(self.evidence.predictions), -1, dtype=np.int64)
        rows = np.flatnonzero(self.given.reviewer)
        gold[self.given.item[rows]] = self.given.label[rows]
        return gold

    def judge(self, mature: np.ndarray) -> Verdicts:
        """A verdict on every prediction that anybody spoke about."""
        found = Verdicts.empty(self.evidence.predictions.ids)
        heard, ripe = once(self.evidence.item), once(self.evidence.item[mature])
        found = found.say(heard, HELD, "not mature yet").say(ripe, LEFT_OUT, "implies no label")
        spoken = once(self.given.item)
        found = found.say(spoken, REJECTED, "the actor has not earned enough trust")
        counted, hasty = self._counted()
        found = found.say(hasty, HELD, "from an actor who answers faster than people do")
        merged = self._merge(counted)
        found = self._decide(found, merged, counted)
        side, audit = self.context.sides[spoken], self.evidence.predictions.audit[spoken]
        if self.rule.silence is None:  # where silence is an answer, all are asked
            unasked = spoken[(side == "judge") & ~audit]
            found = found.say(unasked, LEFT_OUT, "the row judges, and its label was not asked for at random")
        found = found.say(spoken[side == "test"], LEFT_OUT, "the row lies in the frozen test part")
        quiet = Quiet(self.evidence, self.given, self.reference, self.rule, self.context)
        found = quiet.places(found)
        if self.rule.silence is None:
            return found.only(heard)
        return quiet.silence(found, list(self.given.labels).index(self.rule.silence))

    def _counted(self) -> tuple[Opinions, np.ndarray]:
        """The opinions that count, of reviewers alone where there are any; and predictions with none but hasty ones."""
        given, standing = self.given, self.standing
        reviewed = self.gold[given.item] >= 0
        trusted = standing.mean[given.witness] >= self.rule.min_trust
        if self.rule.silence is not None:  # who only reports what happened always says the same, and is not blind
            trusted |= given.event
        calm = ~standing.hasty[given.witness]
        counts = np.where(reviewed, given.reviewer, trusted & calm)
        self._blind = standing.blind[counts]
        left = given.take(counts)
        return left, np.setdiff1d(given.item[trusted & ~calm & ~reviewed], left.item)

    def _merge(self, counted: Opinions) -> Merged:
        standing = replace(self.standing, blind=self._blind)
        if self.numeric:
            values = np.asarray(self.given.labels, dtype=np.float64)
            said = values[self.given.label] if len(self.given) else values
            tolerance = 2 * spread(said, self.evidence.predictions.value[self.given.item])
            return merge_numbers(counted, standing, tolerance)
        return merge_classes(counted, self._reference_of(counted), standing)

    def _reference_of(self, counted: Opinions) -> Reference:
        place = np.full(len(self.given.labels), -1, dtype=np.int64)
        place[self.given.label] = self.reference.code
        return replace(self.reference, code=place[counted.label])

    def _decide(self, found: Verdicts, merged: Merged, counted: Opinions) -> Verdicts:
        item, reviewed = merged.item, self.gold[merged.item] >= 0
        judging = self.context.sides[item] == "judge"
        found = found.say(item[~judging], ACCEPTED, "agreed").say(item[judging], JUDGED, "agreed")
        found = self._weigh(found, merged, reviewed | judging)
        if self.rule.robust_by == "select":
            unlikely = ~reviewed & ~judging & (found.weight[item] == 0)
            found = found.say(item[unlikely], HELD, "models that have not seen the label hold it unlikely")
        if self.numeric and self.context.plausible is not None and len(item):
            values = np.asarray(self.given.labels, dtype=np.float64)[merged.label]
            low, high = self.context.plausible
            far = ~reviewed & ~((values >= low) & (values <= high))
            found = found.say(item[far], HELD, "far from all values that the data has")
        wrong = self._is_doubted(item) & ~reviewed
        if not self.numeric:
            known = ~np.isnan(self._belief(merged))
            event = np.isin(item, counted.item[counted.event])
            wrong |= known & (merged.sure < LEAST_SURE) & ~judging & ~reviewed & ~event
            if self.rule.silence is None:  # where silence is an answer, nobody contradicts
                found = self._contested(found, merged, self._weighed(merged, counted), ~reviewed & ~event)
        found = found.say(item[wrong], HELD, "probably a wrong label")
        found = found.say(item[self._alone(merged, counted) & ~reviewed], HELD, "said by none but a group of actors")
        split = item[(merged.share < self.rule.agreement) | (merged.split & ~reviewed)]
        return self._split(found, split)

    def _split(self, found: Verdicts, items: np.ndarray) -> Verdicts:
        """Held without a label, as actors contradict each other."""
        found = found.label_as(items, np.full(len(items), -1), np.zeros(len(items)))
        return found.say(items, HELD, "actors contradict each other")

    def _weigh(self, found: Verdicts, merged: Merged, certain: np.ndarray) -> Verdicts:
        """What the labels weigh in training.

        Reviewers are believed. Rows that judge count alike, or the champion's own opinion would judge it. What somebody
        did is a fact. Of two classes, the other one gets what the label is not sure of, so that rates stay what they
        are; of more, that part of the weight is left out.
        """
        event = np.zeros(len(self.evidence.predictions), dtype=bool)
        event[self.given.item[self.given.event]] = True
        certain = certain | event[merged.item] | (self.rule.silence is not None)
        labels, classes = list(self.given.labels), list(self.context.classes)
        robust = self._robust(merged, certain)
        merged = replace(merged, weight=merged.weight * robust.weight)
        if self.numeric or len(classes) != 2 or not set(classes) <= set(labels):
            found = found.label_as(merged.item, merged.label, np.where(certain, 1.0, merged.sure) * merged.weight)
            shared = np.flatnonzero(robust.share >= LEAST_WEIGHT)
            return found.also(merged.item[shared], robust.other[shared], robust.share[shared])
        found = found.label_as(merged.item, merged.label, merged.weight)
        pair = np.array([labels.index(name) for name in classes])
        doubt = 1 - np.where(certain, 1.0, merged.sure) * (1 - robust.share)
        unsure = np.flatnonzero(~certain & np.isin(merged.label, pair) & (doubt >= LEAST_WEIGHT))
        other = np.where(merged.label[unsure] == pair[0], pair[1], pair[0])
        return found.also(merged.item[unsure], other, doubt[unsure])

    def _robust(self, merged: Merged, certain: np.ndarray) -> Robust:
        """What becomes of labels that models without them find unlikely, by the way that the product file chooses."""
        second, strength, rows = self.context.second, self.rule.robust, len(merged.item)
        found = Robust(np.ones(rows), merged.label.copy(), np.zeros(rows))
        if not strength or self.numeric or second is None or second.probabilities is None:
            return found
        classes = {name: i for i, name in enumerate(self.context.classes)}
        place = np.array([classes.get(name, -1) for name in self.given.labels], dtype=np.int64)[merged.label]
        judged = np.flatnonzero(~certain & (place >= 0))
        label, expected = place[judged], self.reference.expected[merged.item[judged]]
        if not len(judged):
            return found
        if self.rule.robust_by == "weigh":
            found.weight[judged] = weighed(expected[np.arange(len(judged)), label], strength)
        elif self.rule.robust_by == "select":
            found.weight[judged] = kept(label, expected, strength)
        else:
            probably = truth(label, expected)
            own = probably[np.arange(len(judged)), label]
            probably[np.arange(len(judged)), label] = -1.0
            names = np.array([list(self.given.labels).index(name) for name in self.context.classes])
            next_best = np.maximum(probably.max(axis=1), 0.0)
            found.other[judged] = names[probably.argmax(axis=1)]
            found.share[judged] = strength * next_best / np.maximum(own + next_best, 1e-12)
        return found

    def _belief(self, merged: Merged) -> np.ndarray:
        """The belief beforehand in each winning label, NaN where the reference does not know it."""
        place = np.full(len(self.given.labels) + 1, -1, dtype=np.int64)
        place[self.given.label] = self.reference.code
        code = place[merged.label]
        return np.where(code >= 0, self.reference.belief[merged.item, np.maximum(code, 0)], np.nan)

    def _alone(self, merged: Merged, counted: Opinions) -> np.ndarray:
        """Whether nobody but members of one large group stands behind an unlikely label."""
        sizes = np.bincount(self.standing.group, minlength=1)
        sizes[0] = 0
        plot = sizes[self.standing.group[counted.witness]] >= PLOT
        if not plot.any():
            return np.zeros(len(merged.item), dtype=bool)
        labels = np.int64(len(counted.labels))
        supported = np.unique((counted.item * labels + counted.label)[~plot])
        alone = ~np.isin(merged.item * labels + merged.label, supported)
        return np.asarray(alone & self._unexpected(merged))

    def _weighed(self, merged: Merged, counted: Opinions) -> Contested:
        standing = replace(self.standing, blind=self._blind)
        codes = self.reference.code
        return contested(Spoken(merged, counted, self._reference_of(counted), standing, self.given, codes, self.gold))

    def _contested(self, found: Verdicts, merged: Merged, waits: Contested, open_: np.ndarray) -> Verdicts:
        """Labels that nobody expected; rows that judge may not be chosen by what was said of them."""
        item, judging = merged.item, self.context.sides[merged.item] == "judge"
        trains = open_ & ~judging
        found = found.say(item[waits.agreed & trains], HELD, "those who agree contradict what is expected")
        single = waits.single & trains & self._unexpected(merged)
        found = found.say(item[single], HELD, "one voice alone contradicts what is expected")
        found = found.say(item[waits.lone & open_ & judging], LEFT_OUT, "one voice alone does not judge")
        return self._split(found, item[waits.disputed & trains])

    def _unexpected(self, merged: Merged) -> np.ndarray:
        """Whether a label is not the one that the reference holds likeliest."""
        return np.asarray(~(self._belief(merged) >= self.reference.top[merged.item]))

    def _is_doubted(self, item: np.ndarray) -> np.ndarray:
        if not self.context.doubted:
            return np.zeros(len(item), dtype=bool)
        known = pc.is_in(self.evidence.predictions.ids, value_set=pa.array(sorted(self.context.doubted), pa.string()))
        return np.asarray(known.to_numpy(zero_copy_only=False)[item], dtype=bool)
