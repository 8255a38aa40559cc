from __future__ import annotations

import numpy as np

from volant.evidence.noise import probable_noise


def planted(rows: int = 400, classes: int = 5, wrong: int = 30, seed: int = 0):
    """Labels with planted errors, and probabilities of a model that is usually right and sometimes unsure."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=rows)
    sure = rng.uniform(0.5, 0.98, size=rows)
    p = np.repeat(((1 - sure) / (classes - 1))[:, None], classes, axis=1)
    p[np.arange(rows), truth] = sure
    labels, bad = truth.copy(), rng.choice(rows, wrong, replace=False)
    labels[bad] = (labels[bad] + 1 + rng.integers(classes - 1, size=wrong)) % classes
    return labels, p, bad


def test_most_planted_errors_are_found_and_little_else():
    labels, p, bad = planted()
    found = probable_noise(labels, p, fresh=np.ones(len(labels), dtype=bool))
    assert len(np.intersect1d(found, bad)) >= 0.8 * len(bad)
    assert len(np.setdiff1d(found, bad)) <= 0.1 * len(bad)


def test_only_fresh_labels_are_doubted():
    labels, p, bad = planted()
    fresh = np.arange(len(labels)) < 100
    found = probable_noise(labels, p, fresh=fresh)
    assert fresh[found].all()
    assert set(bad[bad < 100]) & set(found.tolist())


def test_clean_labels_are_left_alone():
    labels, p, _ = planted(wrong=0)
    assert len(probable_noise(labels, p, fresh=np.ones(len(labels), dtype=bool))) == 0


def test_a_class_that_nobody_named_does_no_harm():
    labels, p, _ = planted()
    labels[labels == 2] = 3
    assert len(probable_noise(labels, p, fresh=np.ones(len(labels), dtype=bool))) > 0


def test_one_class_alone_cannot_be_doubted():
    assert len(probable_noise(np.zeros(20, dtype=np.int64), np.full((20, 3), 1 / 3), fresh=np.ones(20, bool))) == 0
