"""Hashes of rows and of texts, many at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.data.checks.study import Study
from volant.data.splits import GOLDEN, mix

ASKED = 10
ALWAYS = 0.6


def salt(name: str) -> np.uint64:
    """A number that stands for a column's name."""
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))


def hash_codes(codes: np.ndarray, name: str) -> np.ndarray:
    """Hashes of small integers, shape (n,), different from column to column."""
    return mix((codes.astype(np.int64) + 2).view(np.uint64) * GOLDEN + salt(name))


def hash_column(study: Study, name: str) -> np.ndarray:
    """Hashes of a column's values, shape (n,), comparable within the study only. Missing is a value."""
    if study.kind(name) in ("number", "boolean", "time"):
        values = study.values(name) + 0.0  # one zero
        values[np.isnan(values)] = np.nan  # one NaN
        return mix(values.view(np.uint64) * GOLDEN + salt(name))
    return hash_codes(study.codes(name).codes, name)


def equal_pairs(hashes: np.ndarray) -> float:
    """How many pairs of rows have equal hashes."""
    sizes = np.unique(hashes, return_counts=True)[1].astype(np.float64)
    return float((sizes * (sizes - 1)).sum() / 2)


def pairs_by_chance(parts: dict[str, np.ndarray], total: np.ndarray, collisions: dict[str, float]) -> float:
    """How many pairs of equal rows coarse values alone explain.

    Without one column, chance makes more pairs equal: for each that is equal by chance with the column there are
    1 / p without it, where p is the probability that two rows agree in it. True copies add nothing. So the
    growth tells how many are equal by chance; the most over some columns, fine and coarse, is taken.

    Args:
        parts: hashes per column, shape (n,) each.
        total: the sum of these.
        collisions: per column the probability that two random rows agree.
    """
    ordered = sorted((name for name in parts if collisions[name] < ALWAYS), key=lambda name: collisions[name])
    asked = {ordered[i] for i in np.linspace(0, len(ordered) - 1, min(ASKED, len(ordered))).astype(int)}
    seen = equal_pairs(total)
    odds = {name: collisions[name] / (1 - collisions[name]) for name in asked}
    return max(((equal_pairs(total - parts[name]) - seen) * odds[name] for name in asked), default=0.0)


def collision(study: Study, name: str) -> float:
    """The probability that two random rows agree in a column, missing counted as a value."""
    codes = study.codes(name)
    sizes = np.append(codes.sizes(), study.missing(name)).astype(np.float64)
    n = len(study)
    return float((sizes * (sizes - 1)).sum() / max(n * (n - 1), 1))


def normalised(texts: pa.Array) -> pa.Array:
    """Texts without case, width, punctuation and extra spaces."""
    texts = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, r"[\s\pP]+", " "))


def matching(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours among rows with equal hashes: positions (p,) and (p,), each row with the next one or two."""
    order = np.argsort(hashes, kind="stable")
    pairs = []
    for step in (1, 2):
        same = hashes[order[step:]] == hashes[order[:-step]]
        pairs.append((order[:-step][same], order[step:][same]))
    left, right = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return left, right


def distinct_pairs(pairs: Iterable[tuple[np.ndarray, np.ndarray]], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The union of lists of pairs, each pair once, the smaller position first."""
    keyed = [np.minimum(a, b).astype(np.int64) * rows + np.maximum(a, b) for a, b in pairs]
    unique = np.unique(np.concatenate(keyed)) if keyed else np.zeros(0, dtype=np.int64)
    return unique // max(rows, 1), unique % max(rows, 1)
