"""How often people who contradict what is expected are right: learned from all of them, by where they do it.

A correction that is right falls on rows where the reference is unsure, and on labels that it holds possible. A slip or
a lie falls anywhere. So what all contradictions together look like tells which share of them is right, though of no
single one. It needs no second opinion, and people who are only ever confirmed earn nothing by it.
"""

from __future__ import annotations

import numpy as np

from volant.evidence.opinions import Opinions
from volant.evidence.reference import Reference

USUAL, USUAL_COUNT = 0.99, 30.0
"""The share of contradictions that are right before anything is seen, and how many it takes to unsettle that."""
SHARES = np.linspace(0.01, 0.999, 100)
DOUBT = 0.02
"""How much of what is expected is spread over all labels. Doubts that are found in answers would explain lies away."""
BELOW = 2.0
"""A share is possible whose likelihood is at most e to this power below that of the likeliest: 95 % of cases."""


def rightly_contradicted(opinions: Opinions, reference: Reference) -> float:
    """The least share of contradictions of what is expected that may well be right.

    Args:
        opinions: of people who are trusted.
        reference: what is believed without them, for these opinions.

    Source: a mixture of two known densities; its share by the likelihood, with its lower limit (Wilks, 1938).
    """
    rows = np.flatnonzero((reference.code >= 0) & ~opinions.reviewer & ~opinions.event)
    item, code = opinions.item[rows], reference.code[rows]
    expected = (1 - DOUBT) * reference.expected[item] + DOUBT / reference.size
    top, believed = expected.max(axis=1, initial=0.0), expected[np.arange(len(item)), code]
    unsure = max(float((1 - top).mean()), 1e-9) if len(rows) else 1.0
    likely = (believed / unsure)[believed < top]  # how much of the right ones falls there, and ...
    anywhere = 1.0 / max(reference.size - 1, 1)  # ... of the wrong ones
    found = USUAL_COUNT * (USUAL * np.log(SHARES) + (1 - USUAL) * np.log(1 - SHARES))
    for i, share in enumerate(SHARES):
        found[i] += np.log(share * likely + (1 - share) * anywhere).sum()
    return float(SHARES[np.flatnonzero(found >= found.max() - BELOW)[0]])
