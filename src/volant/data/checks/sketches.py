"""Texts that say nearly the same, found by min-hashes of their bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.data.checks.hashing import distinct_pairs, matching, normalised
from volant.data.splits import GOLDEN, mix

WINDOW = 8
SHORTEST = 40
"""Bytes below which two texts may resemble each other by chance."""

MOST_BYTES = 6_000_000
KEEP_ONE_IN = 4
BANDS = 8
PER_BAND = 2
ALIKE = 0.8
MOST_PAIRS = 3_000


def similar_texts(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of texts with at least 0.8 of their pieces in common, but not equal: positions (p,) and (p,).

    Long columns are cut to their first bytes and rows, so that the work stays bounded.

    Source: Broder, On the resemblance and containment of documents, 1997.
    """
    short = pc.utf8_slice_codeunits(texts, 0, max(100, MOST_BYTES // max(len(texts), 1)))
    short = normalised(short.cast(pa.string()))
    lengths = pc.fill_null(pc.binary_length(short), 0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(lengths >= SHORTEST)
    rows = rows[np.cumsum(lengths[rows]) <= 2 * MOST_BYTES]
    if len(rows) < 2:
        return rows, rows
    chosen = short.take(pa.array(rows))
    with np.errstate(over="ignore"):
        left, right = _alike(chosen)
    same = pc.equal(texts.take(pa.array(rows[left])), texts.take(pa.array(rows[right])))
    different = ~pc.fill_null(same, True).to_numpy(zero_copy_only=False)
    return rows[left][different], rows[right][different]


def _alike(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    pieces, owners = _pieces(texts)
    signature = _signature(pieces, owners, len(texts))
    bands = [matching(_band(signature, band)) for band in range(BANDS)]
    left, right = distinct_pairs(bands, len(texts))
    likely = (signature[:, left] == signature[:, right]).mean(axis=0) >= 0.55
    left, right = left[likely][:MOST_PAIRS], right[likely][:MOST_PAIRS]
    listed = texts.to_pylist()
    sure = np.array([_overlap(listed[a], listed[b]) >= ALIKE for a, b in zip(left, right, strict=True)], dtype=bool)
    return left[sure], right[sure]


def _pieces(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the windows of 8 bytes of all texts, one in four kept by its hash, and the text of each."""
    data, offsets = text_bytes(texts)
    windows = np.zeros(len(data) - WINDOW + 1, dtype=np.uint64)
    for place in range(WINDOW):
        windows = (windows << np.uint64(8)) | data[place : place + len(windows)]
    hashes = mix(windows * GOLDEN)
    owners = np.repeat(np.arange(len(texts)), np.diff(offsets))[: len(windows)]
    whole = np.arange(len(windows)) + WINDOW <= offsets[1:][owners]
    kept = np.flatnonzero(whole & (hashes % np.uint64(KEEP_ONE_IN) == 0))
    return hashes[kept], owners[kept]


def text_bytes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The UTF-8 bytes of texts without nulls, one after the other, and where each begins: shape (n + 1,)."""
    wide = pa.concat_arrays([texts]).cast(pa.large_string())
    _, offset_buffer, data_buffer = wide.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[wide.offset : wide.offset + len(wide) + 1]
    data = np.frombuffer(data_buffer, dtype=np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets - offsets[0]


def _signature(pieces: np.ndarray, owners: np.ndarray, texts: int) -> np.ndarray:
    """Min-hashes, shape (16, texts); texts without a kept piece get a number of their own."""
    signature = np.tile(np.arange(texts, dtype=np.uint64), (BANDS * PER_BAND, 1))
    present, starts = np.unique(owners, return_index=True)
    if len(present):
        for row in range(BANDS * PER_BAND):
            seeded = mix(pieces + np.uint64(row + 1) * GOLDEN)
            signature[row, present] = np.minimum.reduceat(seeded, starts)
    return signature


def _band(signature: np.ndarray, band: int) -> np.ndarray:
    rows = signature[band * PER_BAND : (band + 1) * PER_BAND]
    total = np.zeros(signature.shape[1], dtype=np.uint64)
    for row in rows:
        total = mix(total * GOLDEN + row)
    return total


def _overlap(left: str, right: str) -> float:
    """Jaccard similarity of the pieces of five characters."""
    a, b = ({text[i : i + 5] for i in range(len(text) - 4)} for text in (left, right))
    return len(a & b) / max(len(a | b), 1)
