"""Learning from labels some of which are wrong: which ones count less, which are left out, and which may be another.

Everything follows from what models that have not seen a label hold likely, out of fold, so it serves whatever learner
trains later.
"""

from __future__ import annotations

import numpy as np

DOUBT = 2.0
"""Labels that each entry of the transition matrix begins with in all, most of them right: few labels prove nothing."""
LEAST = 1e-3


def weighed(likely: np.ndarray, strength: float) -> np.ndarray:
    """Weights (m,) of labels that are held so likely, (m,): the gradient of the generalised cross entropy.

    Source: Zhang and Sabuncu, NeurIPS 2018, section 3.3, with the probability out of fold instead of in training.
    """
    return np.asarray(np.maximum(likely, LEAST) ** strength)


def transitions(label: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How often what is truly class c is called y, (C, C), rows that sum to one.

    A row is counted as class c where c is held likelier than it usually is on rows that are called c, the likeliest of
    such classes.

    Source: the confident joint of Northcutt, Jiang and Chuang, JAIR 2021, section 3.1.

    Args:
        label: class indices, (m,).
        expected: probabilities of the classes by models without the labels, (m, C).
    """
    size = expected.shape[1]
    count = np.bincount(label, minlength=size)
    total = np.bincount(label, expected[np.arange(len(label)), label], size)
    usual = np.where(count > 0, total / np.maximum(count, 1), np.inf)
    sure = np.where(expected >= usual, expected, -1.0)
    true, known = sure.argmax(axis=1), sure.max(axis=1) > 0
    joint = np.zeros((size, size))
    np.add.at(joint, (true[known], label[known]), 1.0)
    joint += DOUBT * (0.9 * np.eye(size) + 0.1 / size)
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def truth(label: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """What each label probably stands for, (m, C), given how classes are confused.

    To train on rows that are shared out so is to descend on the forward-corrected loss, step for step, with the
    probabilities out of fold in the place of the model's own.

    Source: Patrini et al., Making Deep Neural Networks Robust to Label Noise, CVPR 2017, section 4 (forward).
    """
    both = expected * transitions(label, expected)[:, label].T
    total = both.sum(axis=1, keepdims=True)
    own = np.eye(expected.shape[1])[label]
    return np.asarray(np.where(total > 0, both / np.maximum(total, 1e-300), own))


def kept(label: np.ndarray, expected: np.ndarray, strength: float) -> np.ndarray:
    """Which labels are kept, (m,): those of the largest loss under peers are left out, class by class.

    As many of each class as are probably wrong, times `strength`.

    Source: Han et al., Co-teaching, NeurIPS 2018: networks choose the rows of small loss for each other; here the
    models of the folds do, each for rows that it has not seen.
    """
    rows = np.arange(len(label))
    likely, wrong = expected[rows, label], 1.0 - truth(label, expected)[rows, label]
    left = np.ones(len(label), dtype=bool)
    for one in np.unique(label):
        mine = np.flatnonzero(label == one)
        gone = round(strength * float(wrong[mine].sum()))
        left[mine[np.argsort(likely[mine], kind="stable")[:gone]]] = False
    return left
