"""Steps whose numbers are too many for JSON: they lie beside the pipeline as safetensors, which hold no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from volant.runtime.steps import Making

Run = Callable[..., np.ndarray]

BLOCK = 4_000_000
"""Numbers that a step holds at once beside its input and output: 16 MB of float32."""
TIE = 1e-5
"""Squared distances, relative to the farthest neighbour's, that count as equal: rounding must not choose."""


def load_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a file of safetensors, by name."""
    from safetensors.numpy import load_file

    return dict(load_file(file))


def leaf_sums(arrays: Mapping[str, np.ndarray]) -> Run:
    """Sums of rows of `table` (leaves, k): places float32 (n, trees) to float64 (n, k)."""
    table = np.asarray(arrays["table"], dtype=np.float32)

    def run(x: np.ndarray) -> np.ndarray:
        places = x.astype(np.int64)
        block = max(BLOCK // max(places.shape[1] * table.shape[1], 1), 1)
        out = np.empty((len(x), table.shape[1]), dtype=np.float64)
        for start in range(0, len(x), block):
            out[start : start + block] = table[places[start : start + block]].sum(axis=1)
        return out

    return run


def nearest(arrays: Mapping[str, np.ndarray], params: Mapping[str, Any]) -> Run:
    """The mean answer of the `neighbours` nearest rows and of all that are as near as the last of them.

    `rows` (m, k) are searched exactly by Euclidean distance; `place` (m,) names a class or `value` (m,) a number,
    and `weight` (m,) says how much a row counts, which falls with its squared distance, relative to the last
    neighbour's, by the factor exp(-`sharpness` * d² / d_last²). `prior` (C,) counts like `smoothing` neighbours.
    Where `copies` (m,) are given, a row stands for so many equal ones, which count as neighbours each.
    Takes (n, k) without missing values; gives float64 (n, C), for a number (n, 1).
    """
    rows = np.ascontiguousarray(arrays["rows"], dtype=np.float32)
    squares = np.einsum("ij,ij->i", rows, rows)
    weight = np.asarray(arrays["weight"], dtype=np.float64)
    prior = np.asarray(params["prior"], dtype=np.float64)
    count, smoothing, sharpness = (params[name] for name in ("neighbours", "smoothing", "sharpness"))
    copies = arrays["copies"].astype(np.int64) if "copies" in arrays else None
    wanted, count = int(count), min(int(count), len(rows))
    place = arrays["place"].astype(np.int64) if "place" in arrays else np.zeros(len(rows), dtype=np.int64)
    value = arrays["value"].astype(np.float64) if "value" in arrays else np.ones(len(rows))

    def _last(rough: np.ndarray, copies: np.ndarray) -> np.ndarray:
        """The distance (b,) within which there are as many neighbours as wanted, all copies counted."""
        near = np.argpartition(rough, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(near, np.argsort(np.take_along_axis(rough, near, axis=1), axis=1), axis=1)
        place = np.minimum((np.cumsum(copies[near], axis=1) < wanted).sum(axis=1), count - 1)
        return np.take_along_axis(rough, np.take_along_axis(near, place[:, None], axis=1), axis=1)[:, 0]

    def some(x: np.ndarray) -> np.ndarray:
        """The answers (b, C) for a block of rows."""
        rough = squares - 2.0 * (x @ rows.T)
        last = np.partition(rough, count - 1, axis=1)[:, count - 1] if copies is None else _last(rough, copies)
        room = TIE * (last + np.einsum("ij,ij->i", x, x)) + 1e-6
        asking, found = np.nonzero(rough <= (last + room)[:, None])
        apart = x[asking] - rows[found]
        distance = np.einsum("ij,ij->i", apart, apart).astype(np.float64)
        farthest = np.zeros(len(x))
        np.maximum.at(farthest, asking, distance)
        counts = weight[found] * np.exp(-float(sharpness) * distance / np.maximum(farthest[asking], 1e-12))
        cells = asking * len(prior) + place[found]
        sums = np.bincount(cells, counts * value[found], minlength=len(x) * len(prior)).reshape(len(x), len(prior))
        total = np.bincount(asking, counts, minlength=len(x))
        answer: np.ndarray = (sums + float(smoothing) * prior) / (total + float(smoothing))[:, None]
        return answer

    def run(x: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(x, dtype=np.float32)
        block = max(BLOCK // len(rows), 1)
        parts = [some(x[start : start + block]) for start in range(0, len(x), block)]
        return np.concatenate(parts) if parts else np.empty((0, len(prior)))

    return run


def _leaf_sums(of: Making) -> Run:
    assert of.file is not None
    return leaf_sums(load_arrays(of.file))


def _nearest(of: Making) -> Run:
    assert of.file is not None
    return nearest(load_arrays(of.file), of.params)


ARRAYS: dict[str, Callable[[Making], Run]] = {"leaf_sums": _leaf_sums, "nearest": _nearest}
