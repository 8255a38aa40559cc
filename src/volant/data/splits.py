"""Who trains, who judges, who is only reported on. Pure functions of keys, so that no row moves another.

The side of a row follows from its key alone: its subject, its group, or a hash of its inputs. Splits by
class or by time need cut points; those are found once, kept with the dataset, and never moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.core.ids import keyed_unit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(x: np.ndarray) -> np.ndarray:
    """A bijection of 64-bit integers whose output bits all depend on all input bits.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    out: np.ndarray = x ^ (x >> np.uint64(31))
    return out


def _text_hashes(values: Sequence[str | None]) -> np.ndarray:
    def one(text: str | None) -> int:
        data = b"\x00" if text is None else b"\x01" + text.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")

    return np.array([one(v) for v in values], dtype=np.uint64)


def _column_hashes(values: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_string(values.type):
        encoded = values.combine_chunks().dictionary_encode()
        table = _text_hashes([*encoded.dictionary.to_pylist(), None])
        places = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        hashes: np.ndarray = table[places]
        return hashes
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    numbers = pc.fill_null(values.cast(pa.float64()), float("nan")).to_numpy()
    numbers = np.where(np.isnan(numbers), np.float64("nan"), numbers + 0.0)  # one NaN, one zero
    return mix(numbers.view(np.uint64))


def content_hashes(table: pa.Table) -> np.ndarray:
    """A 64-bit hash of each row's values, shape (n,), whatever the order of the columns."""
    total = np.zeros(len(table), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name in sorted(table.column_names):
            salt = _text_hashes([name])[0]
            total += mix(_column_hashes(table.column(name)) * GOLDEN + salt)
        return mix(total)


def row_keys(table: pa.Table, *, subject: str | None, inputs: Sequence[str]) -> np.ndarray:
    """The key of each row, shape (n,), as strings: its subject or group, else a hash of its inputs.

    Rows without a subject get a key of their own content, so that equal rows stay together.
    """
    digits = content_hashes(table.select(inputs)).astype(">u8").tobytes().hex()
    hashed = [f"#{digits[start : start + 16]}" for start in range(0, len(digits), 16)]
    if not len(table) or subject is None:
        return np.array(hashed, dtype=object)
    named = table.column(subject).cast(pa.string()).to_pylist()
    return np.array([h if s is None else str(s) for s, h in zip(named, hashed, strict=True)], dtype=object)


def assign(
    keys: np.ndarray,
    *,
    salt: str,
    judge: float,
    test: float,
    labels: np.ndarray | None = None,
    times: np.ndarray | None = None,
    cuts: Mapping[str, Any] | None = None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """The side of each row, shape (n,), as `train`, `judge` or `test`, and the cut points that were used.

    Args:
        keys: the key of each row.
        salt: the secret of the hash.
        judge: share of the rows that judge.
        test: share of the rows that test.
        labels: for a stratified split, the stratum of each row as text.
        times: for a split by time, datetime64 per row; the latest rows test, those before them judge.
        cuts: cut points of an earlier version of the dataset, which are kept.
    """
    if times is not None:
        return _by_time(times, judge, test, cuts)
    if labels is None:
        encoded = pa.array(keys, pa.string()).dictionary_encode()
        units = np.array(keyed_unit(salt, encoded.dictionary.to_pylist()))
        return _sides(units, test, test + judge)[encoded.indices.to_numpy(zero_copy_only=False)], {}
    unique, first, inverse = np.unique(keys.astype(str), return_index=True, return_inverse=True)
    units = np.array(keyed_unit(salt, unique))
    sides, found = _by_stratum(units, labels[first].astype(str), judge, test, cuts)
    return sides[inverse], found


def _sides(units: np.ndarray, low: Any, high: Any) -> np.ndarray:
    return np.where(units < low, "test", np.where(units < high, "judge", "train")).astype(object)


def _by_stratum(
    units: np.ndarray, strata: np.ndarray, judge: float, test: float, cuts: Mapping[str, Any] | None
) -> tuple[np.ndarray, dict[str, Any]]:
    found: dict[str, Any] = dict(cuts or {})
    low, high = np.empty(len(units)), np.empty(len(units))
    for stratum in np.unique(strata):
        mine = strata == stratum
        if stratum not in found:
            found[str(stratum)] = _exact(units[mine], test, test + judge) if cuts is None else [test, test + judge]
        low[mine], high[mine] = found[str(stratum)]
    return _sides(units, low, high), found


def _exact(units: np.ndarray, *shares: float) -> list[float]:
    """Cut points below which lie the nearest whole numbers of rows to these shares."""
    ordered = np.sort(units)

    def cut(share: float) -> float:
        count = round(share * len(ordered))
        if count in (0, len(ordered)):
            return float(count > 0)
        return float((ordered[count - 1] + ordered[count]) / 2)

    return [cut(share) for share in shares]


def earliest(times: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The first moment of each row's key, shape (n,): under a split by time a subject stays where it began.

    Rows that come later move nothing, and no subject is on two sides. A row without a time counts as the first.
    """
    _, inverse = np.unique(keys.astype(str), return_inverse=True)
    moments = times.astype("datetime64[us]").astype(np.int64)  # NaT is the lowest
    first = np.full(int(inverse.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, inverse, moments)
    return np.asarray(first[inverse].view("datetime64[us]"))


def _by_time(
    times: np.ndarray, judge: float, test: float, cuts: Mapping[str, Any] | None
) -> tuple[np.ndarray, dict[str, Any]]:
    moment = times.astype("datetime64[us]").astype(np.int64)  # NaT is the lowest
    found = dict(cuts) if cuts else time_cuts(times, judge, test)
    judge_side = np.where(moment >= int(found["judge_from"]), "judge", "train") if judge > 0 else "train"
    tests = (moment >= int(found["test_from"])) & (test > 0)
    return np.where(tests, "test", judge_side).astype(object), found


def time_cuts(times: np.ndarray, judge: float, test: float) -> dict[str, int]:
    """The microseconds from which on rows judge and test.

    Where many rows share one time the cuts move to other times, so that each side has rows if there are times enough.
    """
    moments = times.astype("datetime64[us]")
    distinct, known = np.unique(moments.astype(np.int64)), np.sort(moments[~np.isnat(moments)].astype(np.int64))
    if not len(known):
        return dict.fromkeys(("judge_from", "test_from"), int(np.iinfo(np.int64).max))
    shares = np.array([1 - test - judge, 1 - test])
    low, high = np.searchsorted(distinct, known[np.ceil(shares * (len(known) - 1)).astype(np.int64)])
    apart, last = int(judge > 0 and test > 0), len(distinct) - 1
    low = np.clip(low, 1, max(last - apart, 0))
    high = np.clip(high, low + apart, last)
    return {"judge_from": int(distinct[low]), "test_from": int(distinct[high])}
