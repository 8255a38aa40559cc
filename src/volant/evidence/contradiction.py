"""How often people who contradict what is expected are right: learned from all of them, by where they do it.

A correction that is right falls on rows where the reference is unsure, and on labels that it holds possible. A slip or
a lie falls anywhere. So what all contradictions together look like tells which share of them is right, and how likely
a single one is by where it fell. It needs no second opinion, and people who are only ever confirmed earn nothing by it.
What reviewers found where somebody contradicted counts as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

USUAL, USUAL_COUNT = 0.99, 30.0
"""The share of contradictions that are right before anything is seen, and how many it takes to unsettle that."""
SHARES = np.linspace(0.01, 0.999, 100)
DOUBT = 0.02
"""How much of what is expected is spread over all labels. Doubts that are found in answers would explain lies away."""
BELOW = 2.0
"""A share is possible whose likelihood is at most e to this power below that of the likeliest: 95 % of cases."""


@dataclass(frozen=True)
class Contradictions:
    """The least `share` of contradictions that may well be right, and how `unsure` the reference is where people speak.

    `anywhere` is how much of the wrong ones falls on each label that was not expected.
    """

    share: float
    unsure: float
    anywhere: float

    def right(self, expected: np.ndarray, code: np.ndarray) -> np.ndarray:
        """How likely each label is right by where it fell, (m,); 1 for the expected one.

        Args:
            expected: of each row, (m, C).
            code: the place of its label, (m,).
        """
        believed, top = _fallen(expected, code)
        right, wrong = self.share * believed / self.unsure, (1 - self.share) * self.anywhere
        return np.where(believed < top, right / (right + wrong), 1.0)


def contradictions(expected: np.ndarray, code: np.ndarray, seen: tuple[int, int] = (0, 0)) -> Contradictions:
    """What is learned from labels that were given, whether they contradict or not.

    Args:
        expected: of each row, (m, C).
        code: the place of the label that was given, (m,).
        seen: how many others that contradicted were found right, and how many wrong.

    Source: a mixture of two known densities; its share by the likelihood, with its lower limit (Wilks, 1938).
    """
    believed, top = _fallen(expected, code)
    unsure = max(float((1 - top).mean()), 1e-9) if len(code) else 1.0
    anywhere = 1.0 / max(expected.shape[1] - 1, 1)
    likely = (believed / unsure)[believed < top]  # how much of the right ones falls there
    right, wrong = USUAL_COUNT * USUAL + seen[0], USUAL_COUNT * (1 - USUAL) + seen[1]
    found = right * np.log(SHARES) + wrong * np.log(1 - SHARES)
    for i, share in enumerate(SHARES):
        found[i] += np.log(share * likely + (1 - share) * anywhere).sum()
    return Contradictions(float(SHARES[np.flatnonzero(found >= found.max() - BELOW)[0]]), unsure, anywhere)


def _fallen(expected: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is believed of each label, and of the likeliest one of its row, (m,) each."""
    doubted = (1 - DOUBT) * expected + DOUBT / max(expected.shape[1], 1)
    return doubted[np.arange(len(code)), code], doubted.max(axis=1, initial=0.0)
