"""Where actors stand: what trust they have earned, who belongs together, and who answers like no person does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volant.evidence.groups import find_groups
from volant.evidence.opinions import Opinions
from volant.evidence.reference import Reference
from volant.evidence.trust import RIGHT, Answered, Earned, blind_chance, earned, newcomer

PROVEN = 0.5
"""Somebody is proven whose rate of right answers is above this with 95 % probability."""
SEASONED = 0.75
"""Somebody whose rate of right answers is above this with 95 % probability may contradict all by one voice."""
HOUR = 3_600_000_000
FAST, FEWEST = 10.0, 60
"""Answers in the busiest hour that no person gives: so many times what nearly all reach, and so many at least."""


@dataclass(frozen=True)
class Standing:
    """Of each witness (w,): the mean of earned trust, what it is hoped to be (see `Earned`), whether somebody is
    proven or even `seasoned`, the group (0: none) and haste. `blind` (k,) is how likely an opinion is from somebody who
    does not look."""

    trust: Earned
    mean: np.ndarray
    hope: np.ndarray
    proven: np.ndarray
    seasoned: np.ndarray
    group: np.ndarray
    hasty: np.ndarray
    blind: np.ndarray


def stand(opinions: Opinions, reference: Reference, audit: np.ndarray, gold: np.ndarray) -> Standing:
    """Weigh every witness.

    Args:
        opinions: what they say.
        reference: what is believed without them.
        audit: whether a prediction's label is asked for whatever was answered, (n,).
        gold: the label code that a reviewer found for each prediction, (n,), -1 where none looked.
    """
    count = len(opinions.witnesses)
    belief = _with_gold(reference.of(opinions), opinions, gold)
    used = np.flatnonzero(~opinions.reviewer & (reference.code >= 0) & ~_echoes(opinions))
    used = used[np.argsort(opinions.witness[used], kind="stable")]
    mean, low = np.full(count, newcomer().mean), np.full(count, newcomer().low)
    blind = np.full(len(opinions), 1.0 / max(reference.size, 2))
    trust = Earned((), np.empty((0, len(RIGHT))), np.empty(0, dtype=np.int64))
    hope = mean.copy()
    if len(used):
        present, actor = np.unique(opinions.witness[used], return_inverse=True)
        given = _answered(opinions, reference, used, actor, belief, audit | (gold >= 0))
        trust = earned(given, [opinions.witnesses[i] for i in present])
        mean[present], low[present] = trust.mean, trust.low
        hope[:] = trust.hope_of_new
        hope[present] = trust.hope
        blind[used] = given.blind
        blind = _same_for_echoes(blind, opinions)
    group = find_groups(opinions, reference, gold)
    return Standing(trust, mean, hope, low >= PROVEN, low >= SEASONED, group, _hasty(opinions), blind)


def _echoes(opinions: Opinions) -> np.ndarray:
    """Which opinions of the nameless repeat what another of them says of the same prediction, (k,)."""
    return _first_of_each(opinions)[0]


def _first_of_each(opinions: Opinions) -> tuple[np.ndarray, np.ndarray]:
    """Whether an opinion is an echo, (k,), and the position of the first one that says the same, (k,)."""
    key = (opinions.item * np.int64(len(opinions.labels) + 1) + opinions.label) * 2
    nameless = np.flatnonzero(opinions.nameless & ~opinions.reviewer)
    first = np.arange(len(opinions))
    if len(nameless):
        _, where, place = np.unique(key[nameless], return_index=True, return_inverse=True)
        first[nameless] = nameless[where[place]]
    return first != np.arange(len(opinions)), first


def _same_for_echoes(values: np.ndarray, opinions: Opinions) -> np.ndarray:
    return np.asarray(values[_first_of_each(opinions)[1]])


def _with_gold(belief: np.ndarray, opinions: Opinions, gold: np.ndarray) -> np.ndarray:
    """A reviewer's word in place of what is believed."""
    found = gold[opinions.item] if len(opinions) else np.empty(0, dtype=np.int64)
    return np.where(found >= 0, np.where(found == opinions.label, 0.99, 0.01), belief)


def _answered(
    opinions: Opinions,
    reference: Reference,
    used: np.ndarray,
    actor: np.ndarray,
    belief: np.ndarray,
    asked: np.ndarray,
) -> Answered:
    item, code = opinions.item[used], reference.code[used]
    counts = np.bincount(actor)
    usual = _usual(reference.belief, item, actor, code, counts)
    shown = reference.shown[item]
    known = shown >= 0
    agrees = known & (code == shown)
    truth = belief[used]
    of_shown = np.where(known, reference.belief[item, np.maximum(shown, 0)], 0.0)
    blind = blind_chance(actor, code, usual, reference.size)
    return Answered(actor, truth, of_shown, agrees, asked[item], blind)


def _usual(belief: np.ndarray, item: np.ndarray, actor: np.ndarray, code: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean belief in each answer's label over all rows of its actor."""
    total = np.empty((len(counts), belief.shape[1]))
    for label in range(belief.shape[1]):
        total[:, label] = np.bincount(actor, belief[item, label], len(counts))
    return np.asarray(total[actor, code] / counts[actor])


def _hasty(opinions: Opinions) -> np.ndarray:
    """Who gave more answers in an hour than a person does, by witness, (w,).

    Programs may be fast, and reviewers import what they have looked at elsewhere.
    """
    count = len(opinions.witnesses)
    hasty = np.zeros(count, dtype=bool)
    people = np.array([bool(name) and not name.endswith(":") for name in opinions.witnesses], dtype=bool)
    rows = np.flatnonzero(people[opinions.witness] & ~opinions.reviewer) if len(opinions) else np.empty(0, np.int64)
    if not len(rows):
        return hasty
    hours = opinions.happened[rows] // HOUR
    pairs = opinions.witness[rows] * np.int64(1 << 40) + hours  # hours since 1970 fit into 40 bits
    pair, sizes = np.unique(pairs, return_counts=True)
    busiest = np.zeros(count, dtype=np.int64)
    np.maximum.at(busiest, pair >> 40, sizes)
    present = busiest > 0
    if present.sum() >= 10:
        hasty = busiest > max(FAST * float(np.quantile(busiest[present], 0.9)), FEWEST)
    return hasty
