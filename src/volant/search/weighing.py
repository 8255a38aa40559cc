"""Other weights for training than for judging: by class, or to make a group independent of the class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Weighing:
    """What rows count in training besides their own weights, (n,).

    `correction` (C,) takes probabilities that were learned so back to the true frequencies; empty where the
    frequencies of the classes stay as they are.
    """

    factors: np.ndarray
    correction: tuple[float, ...] = ()


def by_class(
    truth: np.ndarray, weights: np.ndarray, classes: Sequence[str], wanted: str | Mapping[str, float]
) -> Weighing:
    """Weights by class; on average a row still counts as much as before.

    Args:
        truth: class indices of the training rows, (n,).
        weights: their own weights, (n,).
        classes: the labels.
        wanted: `balanced`, so that each class weighs the same in all, or a number per class, 1 where none is given.

    Probabilities learned so are of a world in which class c is `w[c]` times as frequent; dividing them by `w[c]`
    and making them sum to one takes them back. Source: Elkan, The Foundations of Cost-Sensitive Learning, 2001,
    theorem 2; Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002, equation 4.
    """
    known = truth >= 0
    shares = np.bincount(truth[known], weights[known], len(classes)) / max(weights[known].sum(), 1e-300)
    if isinstance(wanted, str):
        raw = 1.0 / np.maximum(shares, 1e-12) / len(classes)
    else:
        raw = np.array([wanted.get(name, 1.0) for name in classes])
    raw = np.where(shares > 0, raw, 1.0)
    factor = raw / float(raw @ shares)
    return Weighing(np.where(known, factor[truth], 1.0), tuple(float(f) for f in 1.0 / factor))


def independent(group: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> Weighing:
    """Weights that make group and class independent, and leave the shares of either as they are.

    Args:
        group: the number of each row's group, (n,); -1 where it is not known, which changes nothing.
        truth: class indices, (n,).
        weights: the rows' own weights, (n,).

    Source: Kamiran and Calders, Data Preprocessing Techniques for Classification without Discrimination, 2012,
    section 4.3 (reweighing).
    """
    known = (group >= 0) & (truth >= 0)
    g, y, w = group[known], truth[known], weights[known]
    size = (int(g.max(initial=-1)) + 1, int(y.max(initial=-1)) + 1)
    both = np.zeros(size)
    np.add.at(both, (g, y), w)
    total = max(float(both.sum()), 1e-300)
    expected = both.sum(axis=1, keepdims=True) * both.sum(axis=0, keepdims=True) / total
    ratio = np.divide(expected, both, out=np.ones(size), where=both > 0)
    factors = np.ones(len(group))
    factors[known] = ratio[g, y]
    return Weighing(factors)


def together(one: Weighing | None, other: Weighing | None) -> Weighing | None:
    """Both weights at once."""
    if one is None or other is None:
        return one or other
    return Weighing(one.factors * other.factors, one.correction or other.correction)
