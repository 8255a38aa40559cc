"""What a release may weigh and take where the product file sets no limits of its own."""

from __future__ import annotations

from volant.core.records import Problem
from volant.search.trials import MOST_BYTES, MOST_MILLISECONDS

MOST_BYTES_OF_PICTURES, MOST_MILLISECONDS_OF_PICTURES = 100_000_000, 25.0
"""Bytes of a release and milliseconds for one row where rows hold pictures."""


def usual_limits(problem: Problem) -> tuple[float, float]:
    """Bytes of a release and milliseconds for one row where the product file sets no limits."""
    if "image" in problem.types():
        return MOST_BYTES_OF_PICTURES, MOST_MILLISECONDS_OF_PICTURES
    return MOST_BYTES, MOST_MILLISECONDS
