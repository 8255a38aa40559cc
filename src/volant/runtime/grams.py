"""Hashed n-grams of texts: words, pairs of neighbouring words, and runs of characters, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

FACTOR = np.uint64(0x9E3779B97F4A7C15)
MIX = np.uint64(0xFF51AFD7ED558CCD)
WORD, PAIR = 101, 102
LONGEST_WORD = 64


def grams(texts: Iterable[Any], size: int, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows and the buckets, in [0, size), of all n-grams; a missing text (None) has none.

    Texts are folded to lower case and single spaces. Words are runs of letters and digits; `low` to `high`
    are the lengths of the runs of characters, which serve scripts without spaces.
    """
    folded = ["" if text is None else " ".join(text.lower().split()) for text in texts]
    lengths = np.array([len(text) for text in folded], dtype=np.int64)
    raw = "".join(folded).encode("utf-32-le", "surrogatepass")
    letters = np.frombuffer(raw, dtype=np.uint32)
    rows = np.repeat(np.arange(len(folded)), lengths)
    found = [*_words(letters, rows), *(_runs(letters, rows, k) for k in range(low, high + 1))]
    places = np.concatenate([row for row, _ in found])
    buckets = np.concatenate([mixed % np.uint64(size) for _, mixed in found]).astype(np.int64)
    return places, buckets


def _mixed(values: np.ndarray, kind: int) -> np.ndarray:
    """Spread the bits of hashes (n,), uint64; `kind` keeps words and runs of characters apart."""
    values = (values + np.uint64(kind)) * MIX
    return (values ^ (values >> np.uint64(33))) * FACTOR >> np.uint64(20)


def _runs(letters: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Each run of `k` characters that lies within one text."""
    count = max(len(letters) - k + 1, 0)
    value = np.zeros(count, dtype=np.uint64)
    for j in range(k):
        value = value * FACTOR + letters[j : j + count]
    whole = np.flatnonzero(rows[:count] == rows[k - 1 : k - 1 + count])
    return rows[whole], _mixed(value[whole], k)


def _words(letters: np.ndarray, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each word, and each pair of neighbours in one text."""
    kinds, inverse = np.unique(letters, return_inverse=True)
    part = np.array([chr(c).isalnum() for c in kinds], dtype=bool)[inverse] if len(kinds) else np.zeros(0, bool)
    inner = part[1:] & part[:-1] & (rows[1:] == rows[:-1])  # goes on with the word of the character before
    begins = np.flatnonzero(part & ~np.concatenate([[False], inner]))
    if not len(begins):
        return []
    starts = np.zeros(len(letters), dtype=np.int64)
    starts[begins] = begins
    at = np.arange(len(letters)) - np.maximum.accumulate(starts)  # place in the word, where there is one
    powers = FACTOR ** np.arange(LONGEST_WORD, dtype=np.uint64)
    value = np.where(part, (letters.astype(np.uint64) + np.uint64(1)) * powers[np.minimum(at, LONGEST_WORD - 1)], 0)
    word = np.add.reduceat(value.astype(np.uint64), begins)
    owner = rows[begins]
    beside = np.flatnonzero(owner[1:] == owner[:-1])
    pair = word[beside] * MIX + word[beside + 1]
    return [(owner, _mixed(word, WORD)), (owner[beside], _mixed(pair, PAIR))]
