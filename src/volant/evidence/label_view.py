"""The label view: a replayable rule that turns evidence into labels.

The same rule on the same evidence gives the same view, in whatever order the evidence arrives and
however often it is repeated. Nothing is deleted: what is not accepted is held or rejected, with the
reason, and another rule may judge differently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from volant.core.ids import digest
from volant.core.protocols import Task
from volant.evidence.court import Court
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
from volant.evidence.evidence import Evidence, of_voices, once
from volant.evidence.opinions import Opinions, opinions
from volant.evidence.quiet import counts_by_now
from volant.evidence.reference import Second
from volant.evidence.rule import Context, LabelRule, micros
from volant.evidence.standing import Standing
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
    mature = counts_by_now(evidence, rule)
    means = [] if rule.silence is None else [rule.silence]
    more = (*classes, *means) if task.target_type != "number" else means
    given = opinions(evidence.some(mature), task, rule.reviewers, rule.signals, more)
    court = Court(evidence, given, task, rule, context)
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
    spoken = once(evidence.item)
    sides = sha256("\n".join(map(str, context.sides[spoken])).encode()).hexdigest()
    second = "" if context.second is None else context.second.digest(spoken)
    known = [list(context.classes), sorted(context.doubted), context.plausible, sides, second]
    if rule.silence is not None:  # those about which nobody spoke have labels too
        old = evidence.predictions.at + int(rule.maturity_seconds * 1e6) <= micros(rule.now)
        everybody = "\n".join(evidence.predictions.ids.to_pylist()).encode() + old.tobytes()
        known += [sha256(everybody).hexdigest(), rule.now.isoformat() if rule.early == "weigh" else ""]
    return digest({"rule": plain, "heard": heard, "of": known})


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
