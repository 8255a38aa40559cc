"""Steps with arrays beside them: sums of leaves, and the nearest rows."""

from __future__ import annotations

import numpy as np
import pytest

from volant.runtime import arrays
from volant.runtime.arrays import leaf_sums, nearest


def test_leaf_sums_add_up_rows_of_the_table_in_blocks_too(monkeypatch):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(40, 3)).astype(np.float32)
    places = rng.integers(0, 40, (25, 7))
    expected = table[places].sum(axis=1)
    assert np.allclose(leaf_sums({"table": table})(places.astype(np.float32)), expected, atol=1e-6)
    monkeypatch.setattr(arrays, "BLOCK", 50)
    assert np.allclose(leaf_sums({"table": table})(places.astype(np.float32)), expected, atol=1e-6)


def kept(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)).astype(np.float32)
    return {"rows": x, "weight": np.ones(rows, np.float32), "place": (x[:, 0] > 0).astype(np.int32)}


PLAIN = {"neighbours": 9, "sharpness": 0.0, "smoothing": 0.0, "prior": [0.5, 0.5]}


def test_the_nearest_rows_are_those_of_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    given, asked = kept(), kept(seed=1)["rows"]
    found = nearest(given, PLAIN)(asked)
    expected = KNeighborsClassifier(9).fit(given["rows"], given["place"]).predict_proba(asked)
    assert np.allclose(found, expected)


def test_one_row_gets_what_it_gets_among_others(monkeypatch):
    given, asked = kept(), kept(seed=1)["rows"]
    step = nearest(given, {**PLAIN, "sharpness": 2.0, "smoothing": 0.5})
    many = step(asked)
    assert np.allclose(np.concatenate([step(row[None, :]) for row in asked]), many)
    monkeypatch.setattr(arrays, "BLOCK", 1_000)
    assert np.allclose(step(asked), many)


def test_rows_as_near_as_the_last_neighbour_all_count():
    rows = np.zeros((10, 2), np.float32)
    rows[:, 0] = 1.0
    given = {"rows": rows, "weight": np.ones(10), "place": np.arange(10) % 2}
    assert nearest(given, {**PLAIN, "neighbours": 1})(np.zeros((1, 2), np.float32))[0] == pytest.approx([0.5, 0.5])


def test_nearer_and_heavier_rows_count_more():
    given = {"rows": np.array([[0.0], [2.0]], np.float32), "weight": np.ones(2), "value": np.array([1.0, 3.0])}
    params = {"neighbours": 2, "sharpness": 2.0, "smoothing": 0.0, "prior": [0.0]}
    asked = np.array([[0.5]], np.float32)
    near = nearest(given, params)(asked)[0, 0]
    assert 1.0 < near < 1.5
    assert nearest({**given, "weight": np.array([1.0, 9.0])}, params)(asked)[0, 0] > near


def test_no_rows_give_no_answers():
    assert nearest(kept(), PLAIN)(np.empty((0, 4), np.float32)).shape == (0, 2)
    assert leaf_sums({"table": np.ones((2, 3), np.float32)})(np.empty((0, 5), np.float32)).shape == (0, 3)
