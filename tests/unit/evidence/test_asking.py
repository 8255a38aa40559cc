"""What is asked: contested first, then spread out, a share at random; never more than the budget."""

import numpy as np
import pytest

from volant.evidence.asking import choose, embed, spread, typical

RNG = np.random.default_rng(0)


def clusters(sizes=(300, 40, 40)):
    places = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    return np.concatenate([place + RNG.normal(size=(n, 2)) * 0.5 for place, n in zip(places, sizes, strict=True)])


@pytest.mark.parametrize("labels", [0, 10_000])
def test_questions_are_as_many_as_asked_for_and_all_different(labels):
    points, n = clusters(), 380
    found = choose(
        points,
        RNG.dirichlet([1, 1, 1], n),
        np.where(np.arange(n) < 5, 1.0, 0.0),
        labels=labels,
        budget=20,
        explore=0.2,
        chance=np.random.default_rng(1),
    )
    assert len(found.place) == len(set(found.place.tolist())) == len(found.why) == 20
    contested = [why for place, why in zip(found.place, found.why, strict=True) if place < 5]
    assert contested.count("people contradict each other") >= 4
    assert "drawn at random" in found.why
    assert (found.propensity > 0).all()


def test_with_few_labels_every_cluster_is_asked_about():
    points = clusters()
    chosen = typical(points, np.arange(380), 6, np.random.default_rng(0))
    assert {0 if p < 300 else 1 if p < 340 else 2 for p in chosen.tolist()} == {0, 1, 2}


def test_spread_takes_what_is_far_apart():
    points = clusters()
    chosen = spread(points - points.mean(axis=0), np.arange(380), 3, np.random.default_rng(0))
    apart = np.linalg.norm(points[chosen][:, None] - points[chosen][None], axis=2)
    assert apart[np.triu_indices(3, 1)].min() > 2


@pytest.mark.parametrize("labels", [0, 10_000])
def test_nothing_to_ask_is_nothing_asked(labels):
    none = np.zeros((0, 2))
    found = choose(
        none, np.zeros((0, 2)), np.zeros(0), labels=labels, budget=5, explore=0.2, chance=np.random.default_rng(0)
    )
    assert not len(found.place)


def test_rows_become_points_whatever_their_columns_are():
    words = np.array(["a", None, "b"], dtype=object)
    made = embed({"x": np.array([1.0, np.nan, 1e308]), "c": words, "z": np.full(3, np.nan)})
    assert made.shape[0] == 3
    assert np.isfinite(made).all()
