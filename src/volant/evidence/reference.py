"""What is believed of each prediction's truth before anybody speaks: what the champion said, or a model after it.

Numbers are weighed as classes: ranges of equal frequency, over which a Laplace density lies around the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pyarrow as pa

from volant.evidence.evidence import Predicted
from volant.evidence.opinions import Opinions

BINS = 10
DOUBTED = 0.05
"""Share of what is expected that is spread over all labels, where nothing tells how sure the reference may be."""
DOUBTS = (0.02, 0.05, 0.1, 0.2)
AUDITED = 50
"""Audited opinions from which on they tell how sure the reference may be."""
RIGHT, BLIND = 0.85, 0.15


@dataclass(frozen=True)
class Second:
    """What models that had not seen the labels say: probabilities over `classes` (n, C), or values (n,).

    Rows are those of the predictions; NaN where there is none.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray | None = None
    values: np.ndarray | None = None

    def digest(self, rows: np.ndarray) -> str:
        """A name for what they say of some predictions."""
        said = self.values if self.probabilities is None else self.probabilities
        told = b"" if said is None else np.round(said[rows].astype(np.float64), 9).tobytes()
        return sha256("\n".join(self.classes).encode() + told).hexdigest()


@dataclass(frozen=True)
class Reference:
    """Beliefs as columns of the opinions (k,), and of the predictions.

    `code` is the place of an opinion's label among `size` labels, -1 where the reference does not know it. `belief`
    (n, size) is of each prediction, and what was `expected` (n, size) before doubts about the reference itself; `top`
    (n,) is the largest belief. `shown` (n,) is the code of what was answered.
    """

    code: np.ndarray
    belief: np.ndarray
    expected: np.ndarray
    shown: np.ndarray
    size: int

    @property
    def top(self) -> np.ndarray:
        """The largest belief of each prediction, shape (n,)."""
        return np.asarray(self.belief.max(axis=1, initial=0.0))

    def of(self, opinions: Opinions) -> np.ndarray:
        """The belief in each opinion's label, shape (k,), NaN where the reference does not know it."""
        found = self.belief[opinions.item, np.maximum(self.code, 0)]
        return np.where(self.code >= 0, found, np.nan)


def class_reference(
    predictions: Predicted, opinions: Opinions, classes: Sequence[str], second: Second | None = None
) -> Reference:
    """Beliefs over the champion's classes, no surer than audited opinions allow."""
    names = list(classes) or list(predictions.classes)
    size = max(len(names), 1)
    place = {name: i for i, name in enumerate(names)}
    expected = _moved(predictions.probabilities, predictions.classes, place, size)
    if second is not None and second.probabilities is not None:
        later = _moved(np.nan_to_num(second.probabilities), second.classes, place, size)
        expected = np.where(later.sum(axis=1, keepdims=True) > 0, later, expected)
    code = np.array([place.get(label, -1) for label in opinions.labels], dtype=np.int64)
    code = code[opinions.label] if len(opinions) else np.empty(0, dtype=np.int64)
    shown = _codes_of(predictions.label, place)
    total = expected.sum(axis=1, keepdims=True)
    expected = np.where(total > 0, expected / np.maximum(total, 1e-12), 1.0 / size)
    doubt = _doubt(expected, code, opinions, predictions, size)
    return Reference(code, (1 - doubt) * expected + doubt / size, expected, shown, size)


def _moved(found: np.ndarray, has: Sequence[str], place: dict[str, int], size: int) -> np.ndarray:
    """Probabilities over other classes, in their order; classes that nobody knows any more are left out."""
    moved = np.zeros((len(found), size))
    for column, name in enumerate(has):
        if name in place:
            moved[:, place[name]] = found[:, column]
    return moved


def _codes_of(labels: pa.Array, place: dict[str, int]) -> np.ndarray:
    encoded = labels.dictionary_encode()
    table = np.array([place.get(name, -1) for name in encoded.dictionary.to_pylist()] + [-1], dtype=np.int64)
    return np.asarray(table[encoded.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)])


def _doubt(expected: np.ndarray, code: np.ndarray, opinions: Opinions, predictions: Predicted, size: int) -> float:
    """How much of what is expected must be spread over all labels so that audited opinions are as likely as can be."""
    rows = np.flatnonzero((code >= 0) & predictions.audit[opinions.item] & ~opinions.nameless) if len(code) else code
    if len(rows) < AUDITED:
        return DOUBTED
    said = expected[opinions.item[rows], code[rows]]
    fits = [np.log(RIGHT * ((1 - d) * said + d / size) + BLIND / size).sum() for d in DOUBTS]
    return DOUBTS[int(np.argmax(fits))]


def number_reference(predictions: Predicted, opinions: Opinions, second: Second | None = None) -> Reference:
    """Beliefs over ranges of numbers."""
    said = np.asarray(opinions.labels, dtype=np.float64)[opinions.label] if len(opinions) else np.empty(0)
    answered = predictions.value
    if second is not None and second.values is not None:
        answered = np.where(np.isfinite(second.values), second.values, answered)
    usual = np.concatenate([said, answered[opinions.item]]) if len(opinions) else said
    usual = usual[np.isfinite(usual)]
    cuts = np.unique(np.quantile(usual, np.arange(1, BINS) / BINS)) if len(usual) else np.empty(0)
    size = len(cuts) + 1
    scale = spread(said, answered[opinions.item]) if len(opinions) else 1.0
    around = np.where(np.isfinite(answered), answered, 0.0)
    belief = np.diff(laplace(cuts[None, :] - around[:, None], scale), prepend=0.0, append=1.0, axis=1)
    belief = np.where(np.isfinite(answered)[:, None], belief, 1.0 / size)
    expected, belief = belief, (1 - DOUBTED) * belief + DOUBTED / size
    shown = np.searchsorted(cuts, np.nan_to_num(predictions.value), side="left")
    return Reference(np.searchsorted(cuts, said, side="left"), belief, expected, shown, size)


def spread(said: np.ndarray, answered: np.ndarray) -> float:
    """How far a correction usually lies from the answer: the median, over those that differ at all."""
    gaps = np.abs(said - answered)
    gaps = gaps[np.isfinite(gaps) & (gaps > 0)]
    return float(np.median(gaps)) if len(gaps) else 1e-9


def laplace(distance: np.ndarray, scale: float) -> np.ndarray:
    """Distribution function of the Laplace density with that median absolute deviation."""
    steps = distance * np.log(2) / scale
    below = 0.5 * np.exp(np.minimum(steps, 0.0))
    return np.asarray(np.where(steps < 0, below, 1 - 0.5 * np.exp(-np.maximum(steps, 0.0))))
