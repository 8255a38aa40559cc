"""Identities: UUIDv7 for events, SHA-256 digests for content, keyed hashes for splits."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID


def uuid7(now_ms: int | None = None) -> str:
    """A UUID of version 7, which sorts by time of creation.

    Source: RFC 9562, section 5.7.
    """
    return _uuid7s(time.time_ns() // 1_000_000 if now_ms is None else now_ms, 1)[0]


def made_at(id: str) -> datetime | None:
    """When a UUID of version 7 was made, to the millisecond; None for any other text.

    >>> made_at(uuid7(0)).year
    1970
    """
    try:
        value = UUID(id)
        known = value.version == 7
        return datetime.fromtimestamp((value.int >> 80) / 1000, tz=UTC) if known else None
    except (ValueError, OverflowError, OSError):
        return None


def uuid7s(count: int) -> list[str]:
    """So many UUIDs of version 7, of the same millisecond, at less cost than one by one."""
    return _uuid7s(time.time_ns() // 1_000_000, count)


def _uuid7s(ms: int, count: int) -> list[str]:
    head = f"{ms:012x}"
    first, second, made = head[:8], head[8:], []
    for _ in range(count):
        try:
            n = _noise.pop()  # which no other thread can get as well
        except IndexError:
            n = _fresh_noise()
        made.append(f"{first}-{second}-7{n[1:4]}-{_VARIANT[n[4]]}{n[5:8]}-{n[8:]}")
    return made


def _fresh_noise() -> str:
    """Twenty random digits, and a store of more: asking the system for each id would cost more than the rest of it."""
    digits = os.urandom(10 * _STORED).hex()
    _noise.extend(digits[start : start + 20] for start in range(20, 20 * _STORED, 20))
    return digits[:20]


_STORED = 512
_noise: list[str] = []
os.register_at_fork(after_in_child=_noise.clear)  # a child must not draw what its parent draws

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, refusing NaN: the same value gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_digest(hashes: Mapping[str, str]) -> str:
    """The digest of an artifact: of its file names and their hashes, in the order of the names."""
    return digest(sorted(hashes.items()))


def keyed_unit(key: str, names: Iterable[str]) -> list[float]:
    """For each name a number in [0, 1) that depends on `key` and the name alone.

    Splits are made of these, so adding or erasing rows moves no other row.
    """
    seed, blake = _seed(key), hashlib.blake2b
    digests = [blake(name.encode("utf-8", "surrogatepass"), key=seed, digest_size=8).digest() for name in names]
    return [(int.from_bytes(raw, "big") >> 11) * 2.0**-53 for raw in digests]


@lru_cache(maxsize=64)
def _seed(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
