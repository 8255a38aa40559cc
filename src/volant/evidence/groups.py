"""Actors who have agreed on what to say: pairs that share answers which nobody else would give, joined to groups.

Honest people agree too, even where the reference is wrong, but all pairs of them do so about equally often. A plot
shows in pairs whose common answers are unlikely ones far more often than is usual among all actors. The usual rate is
a median over actors, so a small plot cannot raise it, however much it says.
"""

from __future__ import annotations

import numpy as np

from volant.data.splits import GOLDEN, mix
from volant.evidence.opinions import Opinions
from volant.evidence.reference import Reference

UNLIKELY = 0.25
"""An answer is unlikely that is believed less than so much of the likeliest one."""
LEVEL = 0.01
"""Probability that any pair of honest actors is taken for a plot."""
USUAL, USUAL_VOICES, USUAL_ACTORS = 0.05, 5.0, 3.0
"""Rate of unlikely answers among common ones before anything is seen, and how much it takes to unsettle that."""
TIMES, ABOVE = 1.3, 0.04
"""A plot's rate is above the usual one so many times, and by so much."""
CROWD = 12
"""Voices on one prediction that are compared pair by pair; of more, these many are drawn."""
_NO_PAIRS = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)


def find_groups(opinions: Opinions, reference: Reference, gold: np.ndarray) -> np.ndarray:
    """The group of each witness, (w,): 0 for those who belong to none.

    Args:
        opinions: what everybody says.
        reference: what is believed without them.
        gold: the label code that a reviewer found for each prediction, (n,), -1 where none looked.
    """
    count = len(opinions.witnesses)
    left, right, unlikely = agreements(opinions, reference, gold)
    if not len(left):
        return np.zeros(count, dtype=np.int64)
    one, two = opinions.witness[left], opinions.witness[right]
    first, second = np.minimum(one, two), np.maximum(one, two)
    usual = _usual_rate(first, second, unlikely, count)
    pair, place = np.unique(first * np.int64(count) + second, return_inverse=True)
    shared = np.bincount(place)
    strange = np.bincount(place, unlikely).astype(np.int64)
    plot = _improbable(strange, shared, min(TIMES * usual + ABOVE, 0.9))
    return _joined(pair[plot] // count, pair[plot] % count, count)


def agreements(opinions: Opinions, reference: Reference, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of opinions of two witnesses on one prediction, by their rows, and whether both say something unlikely that
    is the same; see `find_groups`."""
    rows = np.flatnonzero(~opinions.reviewer & ~opinions.nameless)
    sizes = np.bincount(opinions.item[rows], minlength=len(reference.belief))
    rows = rows[sizes[opinions.item[rows]] > 1]
    if not len(rows):
        return _NO_PAIRS
    rows = _some_of_each(opinions, rows)
    pairs = []
    for gap in range(1, CROWD):
        a, b = rows[:-gap], rows[gap:]
        same = opinions.item[a] == opinions.item[b]
        if not same.any():
            break
        pairs.append((a[same], b[same]))
    if not pairs:
        return _NO_PAIRS
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    strange = _strange(opinions, reference, gold)
    same = (opinions.label[a] == opinions.label[b]) & strange[a] & strange[b]
    return a, b, same


def _some_of_each(opinions: Opinions, rows: np.ndarray) -> np.ndarray:
    """At most so many opinions on each prediction, drawn by a hash, those of one prediction together."""
    item = opinions.item[rows]
    with np.errstate(over="ignore"):
        drawn = mix((opinions.witness[rows] + 1).astype(np.uint64) * GOLDEN + item.astype(np.uint64))
    order = np.lexsort((drawn, item))
    rows, item = rows[order], item[order]
    starts = np.flatnonzero(np.diff(item, prepend=-1))
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    return np.asarray(rows[rank < CROWD])


def _strange(opinions: Opinions, reference: Reference, gold: np.ndarray) -> np.ndarray:
    """Whether an opinion is one that nobody would expect, (k,); never what a reviewer found too."""
    expected = np.where(reference.code >= 0, reference.expected[opinions.item, np.maximum(reference.code, 0)], 0.0)
    unlikely = expected < UNLIKELY * reference.expected.max(axis=1)[opinions.item]
    found = gold[opinions.item]
    return np.asarray(np.where(found >= 0, found != opinions.label, unlikely))


def _usual_rate(first: np.ndarray, second: np.ndarray, unlikely: np.ndarray, count: int) -> float:
    """How often what two actors have in common is unlikely, for the middle one of all actors."""
    both = np.concatenate([first, second])
    shared = np.bincount(both, minlength=count)
    strange = np.bincount(both, np.concatenate([unlikely, unlikely]), count)
    there = shared > 0
    rates = (strange[there] + USUAL * USUAL_VOICES) / (shared[there] + USUAL_VOICES)
    weight = there.sum() / (there.sum() + USUAL_ACTORS)
    return float(weight * np.median(rates) + (1 - weight) * USUAL)


def _improbable(strange: np.ndarray, shared: np.ndarray, rate: float) -> np.ndarray:
    """Pairs with more unlikely answers in common than that rate explains, corrected for how many pairs there are."""
    from scipy.special import bdtrc

    hopeful = np.flatnonzero(strange >= 2)
    found = np.zeros(len(strange), dtype=bool)
    chance = bdtrc(strange[hopeful] - 1.0, shared[hopeful], rate)
    found[hopeful] = chance < LEVEL / max(len(strange), 1)
    return found


def _joined(left: np.ndarray, right: np.ndarray, count: int) -> np.ndarray:
    """Connected components as group numbers from 1; 0 for whoever is in no pair."""
    if not len(left):
        return np.zeros(count, dtype=np.int64)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    _, component = connected_components(links, directed=False)
    sizes = np.bincount(component)
    large = np.flatnonzero(sizes > 1)
    number = np.zeros(len(sizes), dtype=np.int64)
    number[large] = np.arange(len(large)) + 1
    return np.asarray(number[component])
