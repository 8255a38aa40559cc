"""From what actors said to what trust can weigh: one label per voice, against what the champion expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from volant.core.protocols import Task
from volant.evidence.trust import Answer
from volant.store.records import PredictionRecord, Voice

BINS = 10
"""Numbers are weighed as classes: so many ranges of equal frequency."""
ANONYMOUS = "anon-"
"""Actors without a name have this and a session's id."""


@dataclass(frozen=True)
class Opinion:
    """The label that one actor's voice implies for one prediction."""

    seq: int
    prediction: PredictionRecord
    actor: str
    label: Any
    reviewer: bool = False

    @property
    def is_anonymous(self) -> bool:
        """Whether anybody could have said this any number of times."""
        return not self.actor or self.actor.startswith(ANONYMOUS)

    @property
    def witness(self) -> str:
        """Who earns trust by it: the actor; all the nameless together, since a new name costs them nothing."""
        return "" if self.is_anonymous else self.actor


def opinions(voices: Iterable[Voice], task: Task, reviewers: Sequence[str]) -> list[Opinion]:
    """One opinion per prediction and actor, in the order of predictions and actors.

    Of an actor's several voices on one prediction (say, a rating and a correction) the latest that
    implies a label counts. Voices without an actor are one actor together.
    """
    latest: dict[tuple[str, str], Opinion] = {}
    for voice in voices:
        label = task.label(voice.kind, voice.value, voice.prediction.output)
        if label is None:
            continue
        key = voice.prediction.id, voice.actor or ""
        if key not in latest or latest[key].seq < voice.seq:
            latest[key] = Opinion(voice.seq, voice.prediction, key[1], label, voice.source in reviewers)
    return [latest[key] for key in sorted(latest)]


def _said_once(given: Iterable[Opinion]) -> list[Opinion]:
    """Opinions without what the nameless repeat about one prediction."""
    distinct = {(o.prediction.id, o.witness, str(o.label) if o.is_anonymous else ""): o for o in given}
    return list(distinct.values())


def class_answers(given: Sequence[Opinion], classes: Sequence[str]) -> list[Answer]:
    """Opinions on classes as answers; those on a class that the champion could not know say nothing of trust."""
    place = {name: i for i, name in enumerate(classes)}
    gold = {o.prediction.id: place[o.label] for o in given if o.reviewer and o.label in place}
    answers = []
    for opinion in _said_once(given):
        probabilities: Mapping[str, float] = opinion.prediction.output.get("probabilities") or {}
        expected = tuple(float(probabilities.get(name) or 0.0) for name in classes)
        if opinion.reviewer or opinion.label not in place or sum(expected) <= 0:
            continue
        known = gold.get(opinion.prediction.id)
        answers.append(Answer(opinion.witness, place[opinion.label], expected, known, opinion.prediction.audit))
    return answers


def number_answers(given: Sequence[Opinion]) -> list[Answer]:
    """Opinions on numbers as answers among ranges: the champion expects a Laplace density around its value."""
    some = [o for o in _said_once(given) if isinstance(o.prediction.output.get("value"), int | float)]
    if not some:
        return []
    said = np.array([float(o.label) for o in some])
    predicted = np.array([float(o.prediction.output["value"]) for o in some])
    cuts = np.unique(np.quantile(np.concatenate([said, predicted]), np.arange(1, BINS) / BINS))
    expected = np.diff(_laplace(cuts[None, :] - predicted[:, None], spread(given)), prepend=0.0, append=1.0, axis=1)
    chosen = np.searchsorted(cuts, said, side="left")
    gold = {o.prediction.id: int(place) for o, place in zip(some, chosen, strict=True) if o.reviewer}
    return [
        Answer(o.witness, int(place), tuple(row.tolist()), gold.get(o.prediction.id), o.prediction.audit)
        for o, place, row in zip(some, chosen, expected, strict=True)
        if not o.reviewer
    ]


def spread(given: Sequence[Opinion]) -> float:
    """How far a correction usually lies from the prediction: the median, over those that differ at all."""
    pairs = [(float(o.label), o.prediction.output.get("value")) for o in given]
    gaps = [abs(said - float(value)) for said, value in pairs if isinstance(value, int | float) and said != value]
    return float(np.median(gaps)) if gaps else 1e-9


def _laplace(distance: np.ndarray, scale: float) -> np.ndarray:
    """Distribution function of the Laplace density with that median absolute deviation."""
    steps = distance * np.log(2) / scale
    below = 0.5 * np.exp(np.minimum(steps, 0.0))
    return np.asarray(np.where(steps < 0, below, 1 - 0.5 * np.exp(-np.maximum(steps, 0.0))))
