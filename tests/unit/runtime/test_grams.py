"""Hashed n-grams: equal texts, equal buckets, whatever stands beside them in the batch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from volant.runtime.grams import grams

SIZE = 1 << 16


def bags(texts, low=2, high=3):
    rows, buckets = grams(texts, SIZE, low, high)
    return [sorted(buckets[rows == i].tolist()) for i in range(len(texts))]


@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=6))
def test_a_text_has_the_same_grams_alone_and_among_others(texts):
    assert bags(texts) == [bags([text])[0] for text in texts]


def test_case_and_spaces_do_not_count():
    first, second = bags(["Guten Tag", "  guten \t tag "])
    assert first == second


def test_words_count_wherever_they_stand():
    words = [set(bag) for bag in bags(["red apple", "apple red", "green pear"], low=9, high=9)]
    assert len(words[0] & words[1]) >= 2
    assert not words[0] & words[2]


def test_scripts_without_spaces_share_runs_of_characters():
    first, second = (set(bag) for bag in bags(["今天天气很好", "天气预报"]))
    assert first & second


def test_nothing_comes_of_nothing():
    assert bags([None, "", "   "]) == [[], [], []]
    assert bags([]) == []
    rows, buckets = grams(["a" * 10_000], SIZE, 2, 4)
    assert len(rows) == len(buckets)
    assert buckets.min() >= 0
    assert buckets.max() < SIZE
    assert np.all(rows == 0)
