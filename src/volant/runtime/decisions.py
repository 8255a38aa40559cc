"""Steps between probabilities and an answer: by other frequencies, by what mistakes cost, by a row's group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from volant.runtime.steps import Making

Run = Callable[..., np.ndarray]


def reweighed(p: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Probabilities (n, C) times one factor per class, made to sum to one."""
    scaled = p.astype(np.float64) * factors
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))


def _reweigh(of: Making) -> Run:
    """Probabilities (n, C) times one of `factors` per class, made to sum to one."""
    factors = np.asarray(of.params["factors"], dtype=np.float64)
    return lambda p: reweighed(p, factors)


def utilities(p: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Minus the expected cost of each answer (n, C); `costs` (C, C) has a row per truth, a column per answer."""
    return np.asarray(-(p.astype(np.float64) @ costs))


def _utility(of: Making) -> Run:
    """Probabilities (n, C) to minus the expected cost of each answer (n, C)."""
    costs = np.asarray(of.params["costs"], dtype=np.float64)
    return lambda p: utilities(p, costs)


def _decide_by_group(of: Making) -> Run:
    """Probabilities (n, 2) and a column (n,) to labels (n,): the second class from the threshold of its group on.

    `thresholds` belong to the values in `groups`; rows of any other value are decided by `threshold`.
    """
    classes = np.array([*of.params["classes"], None], dtype=object)[:-1]
    known = dict(zip(of.params["groups"], of.params["thresholds"], strict=True))
    other = float(of.params["threshold"])

    def run(p: np.ndarray, group: np.ndarray) -> np.ndarray:
        least = np.array([known.get(value, other) for value in group], dtype=np.float64)
        labels: np.ndarray = classes[(p[:, 1] >= least).astype(np.int64)]
        return labels

    return run


def moved(answer: np.ndarray, group: np.ndarray, values: Sequence[str], offsets: np.ndarray) -> np.ndarray:
    """Probabilities (n, C) or numbers (n,) with the offset of each row's group (n,), nothing for groups not listed.

    `offsets` (values, C) are added to the logarithms of probabilities, which sum to one again; (values, 1) to numbers.
    """
    place = {value: i for i, value in enumerate(values)}
    rows = np.array([place.get(one, len(values)) for one in group], dtype=np.int64)
    shift = np.vstack([offsets, np.zeros((1, offsets.shape[1]))])[rows]
    if answer.ndim == 1:
        return np.asarray(answer + shift[:, 0])
    scaled = answer.astype(np.float64) * np.exp(shift)
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))


def nameless(group: np.ndarray, salt: str) -> np.ndarray:
    """Keyed hashes in the place of names, (n,), so that a release names nobody; None stays None."""
    found = np.empty(len(group), dtype=object)
    key = salt.encode()[:64]
    found[:] = [
        None if one is None else blake2b(str(one).encode(), key=key, digest_size=8).hexdigest() for one in group
    ]
    return found


def _offset_by_group(of: Making) -> Run:
    """Answers (n, …) and a column (n,) to answers with the offsets of their groups; see `moved`.

    With `salt` the groups are people, whose values are keyed hashes.
    """
    values, offsets = list(of.params["values"]), np.asarray(of.params["offsets"], dtype=np.float64)
    salt = of.params.get("salt")
    if salt is None:
        return lambda answer, group: moved(answer, group, values, offsets)
    return lambda answer, group: moved(answer, nameless(group, salt), values, offsets)


DECISIONS: dict[str, Callable[[Making], Run]] = {
    "reweigh": _reweigh,
    "utility": _utility,
    "decide_by_group": _decide_by_group,
    "offset_by_group": _offset_by_group,
}
