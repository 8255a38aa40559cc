"""Labels some of which are wrong: classes that are confused are found, and what is wrong counts less."""

import numpy as np
import pytest

from volant.evidence.noisy import kept, transitions, truth, weighed

CLASSES = 3
RIGHT = np.array([[0.9, 0.1, 0.0], [0.0, 1.0, 0.0], [0.3, 0.0, 0.7]])
"""How often each class is called what; class 0 is called 1 sometimes, class 2 is called 0 often."""


@pytest.fixture(scope="module")
def told():
    """What is true, what is said, and what models that are right most of the time expect."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, CLASSES, 3000)
    said = np.array([rng.choice(CLASSES, p=RIGHT[one]) for one in true])
    margins = 3.0 * np.eye(CLASSES)[true] + rng.normal(size=(3000, CLASSES))
    expected = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    return true, said, expected


def test_how_classes_are_confused_is_found_out_of_fold(told):
    _, said, expected = told
    assert transitions(said, expected) == pytest.approx(RIGHT, abs=0.06)


def test_few_labels_prove_nothing():
    found = transitions(np.array([1]), np.array([[0.9, 0.05, 0.05]]))
    assert (np.diag(found) > 0.5).all()


def test_what_labels_probably_stand_for_is_nearer_to_the_truth_than_they_are(told):
    true, said, expected = told
    probably = truth(said, expected)
    rows = np.arange(len(true))
    assert probably.sum(axis=1) == pytest.approx(np.ones(len(true)))
    assert probably[rows, true].mean() > (said == true).mean() + 0.05
    assert (probably.argmax(axis=1) == true).mean() > max(
        (said == true).mean(), (expected.argmax(axis=1) == true).mean()
    )


def test_what_peers_find_least_likely_is_left_out_and_of_each_class_something_stays(told):
    true, said, expected = told
    left = kept(said, expected, 1.0)
    assert (said == true)[left].mean() > (said == true).mean() + 0.08
    assert (said == true)[~left].mean() < 0.25
    assert np.bincount(said[left], minlength=CLASSES).min() > 500
    assert kept(said, expected, 0.0).all()
    assert 0 < (~kept(said, expected, 0.5)).sum() < (~left).sum()


def test_clean_labels_are_hardly_touched(told):
    true, _, expected = told
    assert kept(true, expected, 1.0).mean() > 0.95
    assert truth(true, expected)[np.arange(len(true)), true].mean() > 0.95


def test_what_is_unlikely_weighs_less():
    assert weighed(np.array([1.0, 0.25, 0.0]), 0.5).tolist() == pytest.approx([1.0, 0.5, 0.0316], abs=1e-3)
