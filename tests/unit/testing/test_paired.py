from __future__ import annotations

import numpy as np
import pytest

from volant.testing.paired import accuracy, compare


def test_wilson_holds_its_promise():
    rng = np.random.default_rng(0)
    for truth in (0.5, 0.9, 0.98):
        intervals = [accuracy((rng.random(80) < truth).tolist()) for _ in range(300)]
        assert np.mean([i.low <= truth <= i.high for i in intervals]) > 0.9


@pytest.mark.parametrize("right", [[True] * 20, [False] * 20])
def test_the_interval_is_not_empty_at_the_ends(right):
    found = accuracy(right)
    assert 0 <= found.low < found.high <= 1


def test_equal_models_are_rarely_called_better():
    rng = np.random.default_rng(1)
    called = [compare((rng.random(200) < 0.9).tolist(), (rng.random(200) < 0.9).tolist()) for _ in range(400)]
    assert np.mean([c.is_better for c in called]) < 0.04


def test_identical_models_do_not_differ():
    same = compare([True, False, True], [True, False, True])
    assert (same.difference, same.p_value, same.is_better) == (0.0, 1.0, False)


def test_a_worse_model_is_not_better():
    worse = compare([True] * 100, [True] * 80 + [False] * 20)
    assert worse.p_value < 0.001
    assert not worse.is_better
