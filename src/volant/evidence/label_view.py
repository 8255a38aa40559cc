"""The label view: a replayable rule that turns evidence into labels.

The same rule on the same evidence gives the same view, in whatever order the evidence arrives and
however often it is repeated. Nothing is deleted: what is not accepted is held or rejected, with the
reason, and another rule may judge differently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from volant.core.ids import digest
from volant.core.protocols import Task
from volant.evidence.answers import Opinion, class_answers, number_answers, opinions, spread
from volant.evidence.trust import Trust, actor_trust, newcomer
from volant.evidence.votes import Ballot, class_vote, number_vote
from volant.store.records import Voice

ACCEPTED, JUDGED, HELD, REJECTED, LEFT_OUT = "accepted", "judged", "held", "rejected", "left out"
STATUSES = (ACCEPTED, JUDGED, HELD, REJECTED, LEFT_OUT)


@dataclass(frozen=True)
class LabelRule:
    """How evidence becomes labels.

    Attributes:
        maturity_seconds: how long an answer may still be corrected before it counts.
        min_trust: trust below which an actor's answers are not used.
        new_class_rows: predictions that must agree on a class never seen before.
        new_class_judges: how many of these must lie on the side that judges, else no gate could pass the class.
        now: the moment of the view; evidence received later does not exist for it.
        agreement: share of trust that must stand behind one label, else it is a conflict.
        reviewers: sources whose word decides.
    """

    maturity_seconds: float
    min_trust: float
    new_class_rows: int
    now: datetime
    new_class_judges: int = 0
    agreement: float = 2 / 3
    reviewers: tuple[str, ...] = ("reviewer",)

    def record(self) -> dict[str, Any]:
        """The rule as plain JSON data."""
        return {**asdict(self), "now": self.now.isoformat(), "reviewers": list(self.reviewers)}


@dataclass(frozen=True)
class Decision:
    """What became of the evidence on one prediction; `weight` is what the label deserves in training."""

    prediction_id: str
    status: str
    reason: str
    label: Any = None
    weight: float = 0.0
    seqs: tuple[int, ...] = ()


@dataclass(frozen=True)
class LabelView:
    """The labels that follow from the evidence, in the order of prediction ids, and how each came about.

    `version` names the evidence and the rule: equal versions hold equal labels.
    """

    version: str
    rule: LabelRule
    decisions: tuple[Decision, ...]
    trust: Mapping[str, Trust] = field(default_factory=dict)
    new_classes: tuple[str, ...] = ()
    evidence: int = 0

    def of_status(self, status: str) -> tuple[Decision, ...]:
        """The decisions of one status; see `STATUSES`."""
        return tuple(d for d in self.decisions if d.status == status)

    def count(self, status: str) -> int:
        """How many predictions have that status."""
        return len(self.of_status(status))

    def reasons(self) -> dict[str, int]:
        """How often each reason kept evidence from becoming a label."""
        return dict(sorted(Counter(d.reason for d in self.decisions if d.status not in (ACCEPTED, JUDGED)).items()))


def build_label_view(
    voices: Iterable[Voice],
    *,
    task: Task,
    classes: Sequence[str],
    rule: LabelRule,
    sides: Mapping[str, str],
    doubted: Collection[str] = (),
    plausible: tuple[float, float] | None = None,
) -> LabelView:
    """Apply a rule to evidence.

    Args:
        voices: what actors say, each with its prediction.
        task: tells which label a voice implies.
        classes: the classes of the champion's contract; empty where the task has none.
        rule: how evidence becomes labels.
        sides: the side of the split (`train`, `judge`, `test`) on which each prediction's row lies, by
            prediction id; `train` where it is not given.
        doubted: predictions whose label is probably wrong (see `volant.evidence.noise`); held for review.
        plausible: the least and the largest number that is believed without review.
    """
    heard = _heard(voices, rule)
    mature = [voice for voice in heard if _is_mature(voice, rule)]
    given = opinions(mature, task, rule.reviewers)
    numeric = task.target_type == "number"
    trust = actor_trust(number_answers(given) if numeric else class_answers(given, classes))
    judge = _Judge(rule, trust, 2 * spread(given) if numeric else None, frozenset(doubted), plausible)
    grouped: dict[str, list[Opinion]] = {}
    for opinion in given:
        grouped.setdefault(opinion.prediction.id, []).append(opinion)
    waiting = {voice.prediction.id for voice in heard} - {voice.prediction.id for voice in mature}
    silent = {voice.prediction.id for voice in mature} - set(grouped)
    decided = [judge.decide(some, sides.get(name, "train")) for name, some in grouped.items()]
    decided += [Decision(name, HELD, "not mature yet") for name in waiting]
    decided += [Decision(name, LEFT_OUT, "implies no label") for name in silent]
    decided, new = (decided, ()) if numeric else _admit(decided, classes, rule)
    version = _version(heard, mature, rule, [list(classes), sorted(doubted), plausible, _sides(heard, sides)])
    ordered = tuple(sorted(decided, key=lambda d: d.prediction_id))
    return LabelView(version, rule, ordered, trust, new, len(heard))


def _heard(voices: Iterable[Voice], rule: LabelRule) -> list[Voice]:
    """Voices received by now, each once, and of each actor's on a prediction, target and kind only the latest."""
    latest: dict[tuple[str, str, str, str], Voice] = {}
    for voice in voices:
        if _moment(voice) > rule.now:
            continue
        key = voice.prediction.id, voice.target, voice.kind, voice.actor
        if key not in latest or latest[key].seq < voice.seq:
            latest[key] = voice
    return sorted(latest.values(), key=lambda voice: voice.seq)


def _moment(voice: Voice) -> datetime:
    return datetime.fromisoformat(voice.received_at)


def _is_mature(voice: Voice, rule: LabelRule) -> bool:
    return _moment(voice) + timedelta(seconds=rule.maturity_seconds) <= rule.now


def _sides(voices: Iterable[Voice], sides: Mapping[str, str]) -> list[list[str]]:
    named = {voice.prediction.id for voice in voices}
    return sorted([name, sides[name]] for name in named if sides.get(name, "train") != "train")


def _version(heard: Sequence[Voice], mature: Sequence[Voice], rule: LabelRule, context: list[Any]) -> str:
    """Digest of the rule and of the evidence. The moment counts only through what is mature by then."""
    plain = rule.record()
    del plain["now"]
    return digest({"rule": plain, "heard": [v.seq for v in heard], "mature": [v.seq for v in mature], "of": context})


@dataclass(frozen=True)
class _Judge:
    """Decides on one prediction at a time. `tolerance` is given for numbers only."""

    rule: LabelRule
    trust: Mapping[str, Trust]
    tolerance: float | None
    doubted: frozenset[str]
    plausible: tuple[float, float] | None = None

    def decide(self, given: Sequence[Opinion], side: str) -> Decision:
        prediction = given[0].prediction
        seqs = tuple(sorted(opinion.seq for opinion in given))
        base = Decision(prediction.id, LEFT_OUT, "", seqs=seqs)
        if side == "test":
            return replace(base, reason="the row lies in the frozen test part")
        if side == "judge" and not prediction.audit:
            return replace(base, reason="the row judges, and its label was not asked for at random")
        reviewed = any(opinion.reviewer for opinion in given)
        ballots = self._ballots(given, reviewed)
        if not ballots:
            return replace(base, status=REJECTED, reason="the actor has not earned enough trust")
        outcome = class_vote(ballots) if self.tolerance is None else number_vote(ballots, self.tolerance)
        if outcome.share < self.rule.agreement:
            return replace(base, status=HELD, reason="actors contradict each other")
        if prediction.id in self.doubted and not reviewed:
            return replace(base, status=HELD, reason="probably a wrong label", label=outcome.label)
        if not (reviewed or self._is_plausible(outcome.label)):
            return replace(base, status=HELD, reason="far from all values that the data has", label=outcome.label)
        status = JUDGED if side == "judge" else ACCEPTED
        return replace(base, status=status, reason="agreed", label=outcome.label, weight=outcome.weight)

    def _is_plausible(self, label: Any) -> bool:
        return self.plausible is None or self.plausible[0] <= label <= self.plausible[1]

    def _ballots(self, given: Sequence[Opinion], reviewed: bool) -> list[Ballot]:
        """Reviewers alone where there are any; else whoever is trusted, all the nameless with one voice together."""
        if reviewed:
            return [Ballot(opinion.label, 1.0) for opinion in given if opinion.reviewer]
        earned = [(o, self.trust.get(o.witness, newcomer()).mean) for o in given]
        trusted = [(o, trust) for o, trust in earned if trust >= self.rule.min_trust]
        nameless = max(sum(o.is_anonymous for o, _ in trusted), 1)
        return [Ballot(o.label, trust / nameless if o.is_anonymous else trust) for o, trust in trusted]


def _admit(
    decided: Sequence[Decision], classes: Sequence[str], rule: LabelRule
) -> tuple[list[Decision], tuple[str, ...]]:
    """Let in the new classes on which enough predictions agree; hold the others."""
    known = set(classes)
    usable = [d for d in decided if d.status in (ACCEPTED, JUDGED) and d.label not in known]
    counts, judges = Counter(d.label for d in usable), Counter(d.label for d in usable if d.status == JUDGED)
    enough = {name for name, count in counts.items() if count >= rule.new_class_rows}
    new = tuple(sorted(name for name in enough if judges[name] >= rule.new_class_judges))
    too_few = {d.prediction_id for d in usable if d.label not in new}
    reason = f"a new class needs {rule.new_class_rows} labels"
    if rule.new_class_judges:
        reason += f", {rule.new_class_judges} of them on rows that judge"
    held = [replace(d, status=HELD, reason=reason, weight=0.0) if d.prediction_id in too_few else d for d in decided]
    return held, new
