"""The label view: a replayable rule that turns evidence into labels.

The same rule on the same evidence gives the same view, in whatever order the evidence arrives and
however often it is repeated. Nothing is deleted: what is not accepted is held or rejected, with the
reason, and another rule may judge differently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow.compute as pc

from volant.core.ids import digest
from volant.core.protocols import Task
from volant.evidence.decisions import (
    ACCEPTED,
    HELD,
    JUDGED,
    LEFT_OUT,
    REJECTED,
    STATUSES,
    Decision,
    LabelView,
    Verdicts,
)
from volant.evidence.evidence import Evidence, of_voices
from volant.evidence.merge import Merged, merge_classes, merge_numbers
from volant.evidence.opinions import Opinions, SignalRule, opinions
from volant.evidence.reference import Reference, Second, class_reference, number_reference, spread
from volant.evidence.standing import Standing, stand
from volant.store.records import Voice

__all__ = [
    "ACCEPTED",
    "HELD",
    "JUDGED",
    "LEFT_OUT",
    "REJECTED",
    "STATUSES",
    "Decision",
    "LabelRule",
    "LabelView",
    "build_label_view",
]
LEAST_SURE = 0.5
"""A label that is less probable than that is probably wrong."""
PLOT = 3
"""Members from which on a group's word needs somebody else's."""


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
    """

    maturity_seconds: float
    min_trust: float
    new_class_rows: int
    now: datetime
    new_class_judges: int = 0
    agreement: float = 2 / 3
    reviewers: tuple[str, ...] = ("reviewer",)
    signals: tuple[SignalRule, ...] = ()

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


def build_label_view(
    heard: Evidence | Iterable[Voice],
    *,
    task: Task,
    classes: Sequence[str],
    rule: LabelRule,
    sides: Mapping[str, str] | np.ndarray,
    second: Second | None = None,
    doubted: Collection[str] = (),
    plausible: tuple[float, float] | None = None,
) -> LabelView:
    """Apply a rule to evidence.

    Args:
        heard: what actors say, each voice with its prediction.
        task: tells which label a voice implies.
        classes: the classes of the champion's contract; empty where the task has none.
        rule: how evidence becomes labels.
        sides: the side of the split (`train`, `judge`, `test`) on which each prediction's row lies, by prediction id
            (`train` where it is not given) or in the order of the predictions.
        second: what models that had not seen the labels say of the predictions.
        doubted: predictions whose label is probably wrong (see `volant.evidence.noise`); held for review.
        plausible: the least and the largest number that is believed without review.
    """
    evidence = heard if isinstance(heard, Evidence) else of_voices(heard, rule.now)
    if isinstance(sides, Mapping):
        named = [sides.get(name, "train") for name in evidence.predictions.ids.to_pylist()]
        sides = np.array(named, dtype=object)
    context = Context(classes, sides, second, doubted, plausible)
    mature = evidence.received + int(rule.maturity_seconds * 1e6) <= _micros(rule.now)
    given = opinions(_some(evidence, mature), task, rule.reviewers, rule.signals)
    court = _Court(evidence, given, task, rule, context)
    verdicts = court.judge(mature)
    new: tuple[str, ...] = ()
    if task.target_type != "number":
        verdicts, new = _admit(verdicts, given.labels, classes, rule)
    return LabelView(
        version=_version(evidence, mature, rule, context),
        rule=rule.record(),
        verdicts=verdicts,
        labels=tuple(given.labels),
        trust=court.standing.trust,
        groups=_groups(court.standing, given),
        new_classes=new,
        evidence=len(evidence),
    )


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


def _some(evidence: Evidence, mask: np.ndarray) -> Evidence:
    columns = ("item", "seq", "actor", "kind", "source", "value", "received", "happened")
    return replace(evidence, **{name: getattr(evidence, name)[mask] for name in columns})


def _groups(standing: Standing, given: Opinions) -> tuple[tuple[str, ...], ...]:
    """The groups that were found, by the names of their members."""
    members: dict[int, list[str]] = {}
    for witness in np.flatnonzero(standing.group).tolist():
        members.setdefault(int(standing.group[witness]), []).append(given.witnesses[witness])
    return tuple(tuple(sorted(names)) for _, names in sorted(members.items()))


def _version(evidence: Evidence, mature: np.ndarray, rule: LabelRule, context: Context) -> str:
    """Digest of the rule and of the evidence. The moment counts only through what is mature by then."""
    plain = rule.record()
    del plain["now"]
    heard = [sha256(np.sort(seq).tobytes()).hexdigest() for seq in (evidence.seq, evidence.seq[mature])]
    spoken = np.unique(evidence.item)
    sides = sha256("\n".join(map(str, context.sides[spoken])).encode()).hexdigest()
    second = "" if context.second is None else context.second.digest(spoken)
    known = [list(context.classes), sorted(context.doubted), context.plausible, sides, second]
    return digest({"rule": plain, "heard": heard, "of": known})


class _Court:
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
        heard, ripe = np.unique(self.evidence.item), np.unique(self.evidence.item[mature])
        found = found.say(heard, HELD, "not mature yet").say(ripe, LEFT_OUT, "implies no label")
        spoken = np.unique(self.given.item)
        found = found.say(spoken, REJECTED, "the actor has not earned enough trust")
        counted, hasty = self._counted()
        found = found.say(hasty, HELD, "from an actor who answers faster than people do")
        merged = self._merge(counted)
        found = self._decide(found, merged, counted)
        side, audit = self.context.sides[spoken], self.evidence.predictions.audit[spoken]
        unasked = spoken[(side == "judge") & ~audit]
        found = found.say(unasked, LEFT_OUT, "the row judges, and its label was not asked for at random")
        found = found.say(spoken[side == "test"], LEFT_OUT, "the row lies in the frozen test part")
        return found.only(heard)

    def _counted(self) -> tuple[Opinions, np.ndarray]:
        """The opinions that count, of reviewers alone where there are any; and predictions with none but hasty ones."""
        given, standing = self.given, self.standing
        reviewed = self.gold[given.item] >= 0
        trusted = standing.mean[given.witness] >= self.rule.min_trust
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
        found = found.label_as(item, merged.label, np.where(reviewed, 1.0, merged.sure) * merged.weight)
        if self.numeric and self.context.plausible is not None and len(item):
            values = np.asarray(self.given.labels, dtype=np.float64)[merged.label]
            low, high = self.context.plausible
            far = ~reviewed & ~((values >= low) & (values <= high))
            found = found.say(item[far], HELD, "far from all values that the data has")
        wrong = self._is_doubted(item) & ~reviewed
        if not self.numeric:
            known = ~np.isnan(self._belief(merged))
            wrong |= known & (merged.sure < LEAST_SURE) & ~judging & ~reviewed
        found = found.say(item[wrong], HELD, "probably a wrong label")
        found = found.say(item[self._alone(merged, counted) & ~reviewed], HELD, "said by none but a group of actors")
        split = item[merged.share < self.rule.agreement]
        found = found.label_as(split, np.full(len(split), -1), np.zeros(len(split)))
        return found.say(split, HELD, "actors contradict each other")

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
        belief = self._belief(merged)
        return np.asarray(alone & ~(belief >= self.reference.top[merged.item]))

    def _is_doubted(self, item: np.ndarray) -> np.ndarray:
        if not self.context.doubted:
            return np.zeros(len(item), dtype=bool)
        import pyarrow as pa

        known = pc.is_in(self.evidence.predictions.ids, value_set=pa.array(sorted(self.context.doubted), pa.string()))
        return np.asarray(known.to_numpy(zero_copy_only=False)[item], dtype=bool)


def _admit(
    verdicts: Verdicts, labels: Sequence[Any], classes: Sequence[str], rule: LabelRule
) -> tuple[Verdicts, tuple[str, ...]]:
    """Let in the new classes on which enough predictions agree; hold the others."""
    known = set(classes)
    strange = np.array([label not in known for label in labels], dtype=bool)
    usable = verdicts.of(ACCEPTED, JUDGED)
    usable = usable[strange[verdicts.label[usable]]] if len(usable) else usable
    counts = np.bincount(verdicts.label[usable], minlength=len(labels))
    judging = usable[verdicts.is_status(JUDGED)[usable]]
    judges = np.bincount(verdicts.label[judging], minlength=len(labels))
    enough = (counts >= rule.new_class_rows) & (judges >= rule.new_class_judges) & (counts > 0)
    reason = f"a new class needs {rule.new_class_rows} labels"
    if rule.new_class_judges:
        reason += f", {rule.new_class_judges} of them on rows that judge"
    held = usable[~enough[verdicts.label[usable]]]
    new = tuple(str(labels[i]) for i in np.flatnonzero(enough).tolist())
    return verdicts.say_at(held, HELD, reason, weight=0.0), new
