"""Several opinions on one prediction merged into one label, with how probable it is.

Each opinion multiplies the odds of its label by how much likelier somebody who is trusted so far gives it when it is
true. Voices that are not independent must not add up: all the nameless together, and each group that has agreed on
what to say, count like one; and all those together who have not proven themselves yet like no more than a good one.

Source: Dawid and Skene (1979), one coin per actor; with a model among the raters as in Goh, Tkachenko and Mueller,
CROWDLAB, 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volant.evidence.opinions import Opinions
from volant.evidence.reference import Reference
from volant.evidence.standing import Standing

PLOT = 0.02
"""How often those who have not proven themselves yet, and say the same of one prediction, have agreed on it."""
MAJORITY = 0.6
"""What must stand behind a label of what voices say, if most of them say something else, or the champion would decide
between them."""
SURE = 12.0
"""What a reviewer adds."""
UNKNOWN = 0.5
"""How far a label is believed beforehand that the reference does not know."""


@dataclass(frozen=True)
class Merged:
    """Of each prediction (n,) that anybody trusted spoke about: `item`, the winning `label` (a code), how probable it
    is (`sure`), its `share` of all that was said, and by what its weight in training is multiplied (`weight`).
    `split` tells that voices by themselves, without what was believed before, give the label no majority; `lone` that
    one voice alone speaks for it."""

    item: np.ndarray
    label: np.ndarray
    sure: np.ndarray
    share: np.ndarray
    weight: np.ndarray
    split: np.ndarray
    lone: np.ndarray


def merge_classes(opinions: Opinions, reference: Reference, standing: Standing) -> Merged:
    """Posterior of the labels of classes; of equals, the first in their order.

    Args:
        opinions: those that count: of reviewers alone where there are any, else of whoever is trusted.
        reference: beliefs beforehand, for these opinions.
        standing: of their witnesses; `blind` belongs to these opinions.
    """
    if not len(opinions):
        return _nothing(opinions)
    added = added_by_each(opinions, standing)
    labels = np.int64(len(opinions.labels))
    option, place = np.unique(opinions.item * labels + opinions.label, return_inverse=True)
    support, heads, lone = _without_echo(added, place, opinions, standing, len(option))
    before = np.full(len(option), np.nan)
    before[place] = reference.of(opinions)
    known = ~np.isnan(before)
    prior = np.where(known, before, UNKNOWN)
    item = option // labels
    starts = np.flatnonzero(np.diff(item, prepend=-1))
    rest = np.maximum(1.0 - np.add.reduceat(np.where(known, before, 0.0), starts), 1e-6)
    raised = np.log(np.maximum(prior, 1e-12)) + support
    count = np.diff(np.append(starts, len(option)))
    peak = np.maximum(np.maximum.reduceat(raised, starts), 0.0)
    odds = np.exp(raised - np.repeat(peak, count))
    said = np.add.reduceat(odds, starts)
    sure = odds / np.repeat(said + rest * np.exp(-peak), count)
    best = _first_best(sure, starts, count)
    factor = np.zeros(len(option))
    np.maximum.at(factor, place, opinions.weight)
    split = support[best] < MAJORITY * np.add.reduceat(support, starts)
    split &= heads[best] <= np.add.reduceat(heads, starts) / 2
    return Merged(item[best], option[best] % labels, sure[best], odds[best] / said, factor[best], split, lone[best])


def _nothing(opinions: Opinions) -> Merged:
    none, no = np.empty(0), np.empty(0, dtype=bool)
    return Merged(opinions.item, opinions.label, none, none, none, no, no)


def added_by_each(opinions: Opinions, standing: Standing) -> np.ndarray:
    """What each opinion alone adds to the log odds of its label, (k,)."""
    right = standing.hope[opinions.witness]
    by_chance = np.maximum((1 - right) * standing.blind, 1e-9)
    added = np.log((right + by_chance) / by_chance)
    return np.where(opinions.reviewer, SURE, added * np.minimum(opinions.weight, 1.0))


def _without_echo(
    added: np.ndarray, place: np.ndarray, opinions: Opinions, standing: Standing, options: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each label, (options,): the log odds that all opinions together add to it, its voices, and whether it has but
    one.

    Of a group, and of all the nameless, the strongest voice counts. What all the unproven together add has a bound, and
    they are one voice then. One that is seasoned is enough.
    """
    group, witness = standing.group[opinions.witness], opinions.witness
    strange = ~standing.proven[witness] & (group == 0) & ~opinions.reviewer
    size = np.int64(2 * len(standing.mean) + 2)
    together = np.where(group > 0, group + len(standing.mean), witness)
    voice, index = np.unique(place * size + together, return_inverse=True)
    loudest, unproven = np.zeros(len(voice)), np.zeros(len(voice), dtype=bool)
    np.maximum.at(loudest, index, added)
    unproven[index] = strange
    option = voice // size
    proven = np.bincount(option, np.where(unproven, 0.0, loudest), options)
    crowd = np.bincount(option, np.where(unproven, loudest, 0.0), options)
    voices = np.bincount(option[~unproven], minlength=options) + (crowd > 0)
    enough = np.zeros(options, dtype=bool)
    enough[place[(standing.seasoned[witness] & (group == 0)) | opinions.reviewer]] = True
    support = proven - np.log(PLOT + (1 - PLOT) * np.exp(-crowd))
    return support, np.bincount(option, minlength=options), (voices < 2) & ~enough


def _first_best(sure: np.ndarray, starts: np.ndarray, count: np.ndarray) -> np.ndarray:
    """The position of the largest value of each run, the first of equals."""
    largest = np.repeat(np.maximum.reduceat(sure, starts), count)
    where = np.where(sure >= largest, np.arange(len(sure)), len(sure))
    return np.asarray(np.minimum.reduceat(where, starts))


def merge_numbers(opinions: Opinions, standing: Standing, tolerance: float) -> Merged:
    """The median by trust; its share are the opinions within `tolerance` of it."""
    if not len(opinions):
        return _nothing(opinions)
    trust = _shared_trust(opinions, standing)
    order = np.lexsort((trust, opinions.label, opinions.item))
    item, label, trust = opinions.item[order], opinions.label[order], trust[order]
    starts = np.flatnonzero(np.diff(item, prepend=-1))
    count = np.diff(np.append(starts, len(item)))
    total = np.add.reduceat(trust, starts)
    passed = np.cumsum(trust)
    before = np.append(0.0, passed)[starts]
    reached = passed - np.repeat(before, count) >= np.repeat(total / 2 - 1e-12, count)
    middle = np.minimum.reduceat(np.where(reached, np.arange(len(item)), len(item) - 1), starts)
    value = np.asarray(opinions.labels, dtype=np.float64)[label]
    near = np.abs(value - np.repeat(value[middle], count)) <= tolerance
    share = np.add.reduceat(np.where(near, trust, 0.0), starts) / np.maximum(total, 1e-12)
    doubt = np.exp(np.add.reduceat(np.log1p(-np.where(near, np.minimum(trust, 1 - 1e-12), 0.0)), starts))
    factor = np.maximum.reduceat(opinions.weight[order], starts)
    no = np.zeros(len(starts), dtype=bool)  # the median has a majority, and what is far from it is held
    return Merged(item[starts], label[middle], share * (1 - doubt), share, factor, no, no)


def _shared_trust(opinions: Opinions, standing: Standing) -> np.ndarray:
    """The trust in each opinion, (k,): those of one group, of all the nameless and of all the unproven share theirs."""
    group, witness = standing.group[opinions.witness], opinions.witness
    crowd = ~standing.proven[witness] & (group == 0) & ~opinions.reviewer & ~opinions.nameless
    size = np.int64(2 * len(standing.mean) + 4)
    together = np.where(group > 0, group + len(standing.mean), np.where(crowd, size - 1, witness))
    together = np.where(opinions.reviewer, witness, together)
    voice, index, number = np.unique(opinions.item * size + together, return_inverse=True, return_counts=True)
    del voice
    trust = np.where(opinions.reviewer, 1.0, standing.mean[witness])
    several = np.where(crowd, np.minimum(number[index], 2), 1)  # a crowd counts like two at most
    return np.asarray(trust * several / number[index])
