"""Labels that nobody expected: which of them are settled by those who speak for them, and which wait for a reviewer.

Trust that was earned where the reference is sure says that somebody can see, not that they will not lie where they
contradict it. So a label that contradicts what is expected must also be likely by where it fell (see
`volant.evidence.contradiction`), if it rests on one voice or on few who agree, wherever many contradictions are wrong;
and everywhere, if those who agree have agreed so before. Three who never did so and whom nobody contradicts are enough:
of a weak model nearly all right corrections would wait otherwise, and it would never learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volant.evidence.contradiction import Contradictions, contradictions
from volant.evidence.groups import agreements
from volant.evidence.merge import PLOT, Merged, added_by_each
from volant.evidence.opinions import Opinions
from volant.evidence.reference import Reference
from volant.evidence.standing import Standing

CALM = 0.9
"""Where a smaller share of all contradictions is right, neither one voice nor a few that agree are enough.

A lie of somebody who is honest elsewhere looks like a correction where the reference is unsure. Where corrections are
right nearly always, that is what it most probably is; elsewhere it needs a second voice, or one that is seasoned."""
SURE = 0.95
"""How probable such a label must be."""
AGREEMENT = 2.0
"""How many times likelier the label must be than what somebody else said, if those who agree count like one voice."""


@dataclass(frozen=True)
class Contested:
    """Which labels (m,) wait, and why: one voice is not enough for it, those who agree are not, or others say something
    else. `lone` tells that it has but one voice where one voice is not enough."""

    lone: np.ndarray
    single: np.ndarray
    agreed: np.ndarray
    disputed: np.ndarray


@dataclass(frozen=True)
class Spoken:
    """What is weighed: the labels that won, who is `counted`, and the reference and the standing for them.

    `given` are all opinions, `codes` the places of their labels in the reference, and `gold` (n,) what reviewers found.
    """

    merged: Merged
    counted: Opinions
    reference: Reference
    standing: Standing
    given: Opinions
    codes: np.ndarray
    gold: np.ndarray


def contested(spoken: Spoken) -> Contested:
    """Weigh the labels that were not expected."""
    merged, counted, reference = spoken.merged, spoken.counted, spoken.reference
    size = np.int64(len(counted.labels))
    option, first, number = np.unique(counted.item * size + counted.label, return_index=True, return_counts=True)
    place = np.searchsorted(option, merged.item * size + merged.label)
    code, several = reference.code[first[place]], number[place] > 1
    people = (code >= 0) & ~(counted.reviewer | counted.event)[first[place]]
    expected = reference.expected[merged.item]
    unexpected = people & (expected[np.arange(len(code)), np.maximum(code, 0)] < expected.max(axis=1, initial=0.0))
    each = _each(spoken)
    few = contradictions(expected[people & several], code[people & several], _found(spoken, several=True))
    wild = min(each.share, few.share) < CALM
    alone, agreed = np.ones(len(code)), np.ones(len(code))
    alone[people], agreed[people] = (
        each.right(expected[people], code[people]),
        few.right(expected[people], code[people]),
    )
    lone = merged.lone & (each.share < CALM)
    said = np.bincount(counted.item, minlength=len(spoken.gold))[merged.item]
    witnessed = (number[place] >= PLOT) & (number[place] == said)
    suspect = (wild & ~witnessed) | np.isin(option[place], _together(counted, reference))
    return Contested(
        lone,
        lone & (np.minimum(merged.sure, alone) < SURE),
        several & suspect & unexpected & (agreed < SURE),
        wild & unexpected & _outspoken(spoken, several),
    )


def _each(spoken: Spoken) -> Contradictions:
    """What all single voices tell of contradictions."""
    counted, reference = spoken.counted, spoken.reference
    rows = np.flatnonzero((reference.code >= 0) & ~counted.reviewer & ~counted.event)
    seen = _found(spoken, several=False)
    return contradictions(reference.expected[counted.item[rows]], reference.code[rows], seen)


def _found(spoken: Spoken, *, several: bool) -> tuple[int, int]:
    """How many contradictions reviewers found right, and wrong: of voices, or of labels that several gave."""
    given, codes = spoken.given, spoken.codes
    trusted = np.isin(given.witness, spoken.counted.witness)
    rows = np.flatnonzero((spoken.gold[given.item] >= 0) & (codes >= 0) & trusted & ~given.reviewer & ~given.event)
    expected = spoken.reference.expected[given.item[rows]]
    rows = rows[expected[np.arange(len(rows)), codes[rows]] < expected.max(axis=1, initial=0.0)]
    if several:
        key = given.item[rows] * np.int64(len(given.labels)) + given.label[rows]
        _, first, number = np.unique(key, return_index=True, return_counts=True)
        rows = rows[first[number > 1]]
    right = int((spoken.gold[given.item[rows]] == given.label[rows]).sum())
    return right, len(rows) - right


def _together(counted: Opinions, reference: Reference) -> np.ndarray:
    """Labels, as item times labels plus label, for which two speak who stood together behind an unlikely one before."""
    left, right, strange = agreements(counted, reference, np.full(len(reference.belief), -1))
    left, right = left[strange], right[strange]
    one, two = counted.witness[left], counted.witness[right]
    pair = np.minimum(one, two) * np.int64(len(counted.witnesses)) + np.maximum(one, two)
    _, place, number = np.unique(pair, return_inverse=True, return_counts=True)
    often = left[number[place] > 1]
    return np.unique(counted.item[often] * np.int64(len(counted.labels)) + counted.label[often])


def _outspoken(spoken: Spoken, several: np.ndarray) -> np.ndarray:
    """Whether somebody says something else that is about as likely, if those who agree count like one voice, (m,).

    A slip falls anywhere, so one other voice says no more for its label than that.
    """
    merged, counted, reference = spoken.merged, spoken.counted, spoken.reference
    right = spoken.standing.hope[counted.witness]
    most = np.log(np.maximum(right, 1e-9) / np.maximum((1 - right) / max(reference.size - 1, 1), 1e-9))
    before = reference.of(counted)
    before = np.log(np.maximum(np.where(np.isnan(before), 0.5, before), 1e-12))
    added = np.minimum(added_by_each(counted, spoken.standing), most)
    winner = np.full(len(spoken.gold), -1, dtype=np.int64)
    winner[merged.item] = merged.label
    many = np.zeros(len(spoken.gold), dtype=bool)
    many[merged.item] = several
    own = counted.label == winner[counted.item]
    loudest = np.full((2, len(spoken.gold)), -np.inf)
    voice = np.where(own & many[counted.item], -np.log(PLOT), added) + before
    np.maximum.at(loudest, (own.astype(np.int64), counted.item), voice)
    return np.asarray(loudest[1, merged.item] - loudest[0, merged.item] < np.log(AGREEMENT))
