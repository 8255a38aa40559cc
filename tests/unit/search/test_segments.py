"""Offsets of segments: large where segments differ, none where they do not, small where rows are few."""

import numpy as np
import pytest

from volant.runtime.decisions import moved
from volant.search.segments import Told, learn_offsets, losses

SEGMENTS = 24


def told(spread, *, rows=4000, numbers=False, seed=0):
    """Held-out rows whose answers know nothing of the segments, and rows of the same kind that come later."""
    rng = np.random.default_rng(seed)
    own = spread * rng.normal(size=SEGMENTS)

    def draw():
        code = rng.integers(0, SEGMENTS, rows)
        group = np.array([f"s{one:02}" for one in code], dtype=object)
        margin = rng.normal(size=rows)
        if numbers:
            return Told(margin, margin + own[code] + rng.normal(size=rows), np.ones(rows), group, np.arange(rows))
        said = 1 / (1 + np.exp(-margin))
        truth = (rng.random(rows) < 1 / (1 + np.exp(-margin - own[code]))).astype(int)
        return Told(np.stack([1 - said, said], axis=1), truth, np.ones(rows), group, np.arange(rows))

    return draw(), draw()


@pytest.mark.parametrize("numbers", [False, True])
def test_later_rows_are_answered_better_where_segments_differ(numbers):
    seen, later = told(0.8, numbers=numbers)
    found = learn_offsets(seen, "city")
    assert losses(later, found.apply(later.predicted, later.group)).sum() < 0.95 * losses(later, later.predicted).sum()


@pytest.mark.parametrize("numbers", [False, True])
def test_nothing_is_lost_where_segments_do_not_differ(numbers):
    ratios = []
    for seed in range(12):
        seen, later = told(0.0, rows=600, numbers=numbers, seed=seed)
        found = learn_offsets(seen, "city")
        after = later.predicted if found is None else found.apply(later.predicted, later.group)
        ratios.append(losses(later, after).sum() / losses(later, later.predicted).sum())
    assert sum(ratio == 1.0 for ratio in ratios) >= 8
    assert max(ratios) < 1.01


def test_a_segment_of_few_rows_is_held_back_more_than_one_of_many():
    seen, _ = told(0.8)
    few = np.flatnonzero(seen.group == "s00")[:6]
    always = seen.some(np.concatenate([np.flatnonzero(seen.group != "s00"), few]))
    always.truth[-6:] = 1
    found = learn_offsets(always, "city")
    assert 0 < found.offsets[0, 1] < 1.5


def test_a_value_of_fewer_rows_than_a_vocabulary_needs_has_none():
    seen, _ = told(0.8)
    found = learn_offsets(
        seen.some(np.flatnonzero((seen.group != "s03") | (np.cumsum(seen.group == "s03") <= 4))), "city"
    )
    assert "s03" not in found.values
    answer = np.array([[0.3, 0.7]])
    assert moved(answer, np.array(["s03"], dtype=object), found.values, found.offsets) == pytest.approx(answer)
