"""People who look through a list from the top and click on what they find good, if they get that far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Searcher:
    """Looks at place k (from 0) with probability 1 / (k + 1) ** `haste`, and clicks on what is good if it is seen.

    Some clicks are mistakes: `noise` of the seen items that are not good are clicked nevertheless.

    Source: the position-based model of clicks (Richardson, Dominowska and Ragno, WWW 2007).
    """

    haste: float = 1.0
    noise: float = 0.05

    def looks(self, place: int) -> float:
        """How likely this place is looked at."""
        return float((place + 1) ** -self.haste)


def clicks(searcher: Searcher, shown: Sequence[int], appeal: Sequence[float], chance: Random) -> list[bool]:
    """Which of the items of one list are clicked, in the order in which they are shown.

    Args:
        searcher: who looks.
        shown: the items in their places.
        appeal: how likely each item is good for somebody, by its number.
        chance: decides.
    """
    found = []
    for place, item in enumerate(shown):
        seen = chance.random() < searcher.looks(place)
        good = chance.random() < appeal[item]
        mistaken = chance.random() < searcher.noise
        found.append(seen and (good or mistaken))
    return found
