"""Packs: files of files. Written once, mapped into memory, and looked into by the hash of what is sought.

A pack is an uncompressed Arrow IPC file with the columns `hash` (the 32 bytes of SHA-256) and `data`, so that other
programs can read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from volant.errors import Failure

SUFFIX = ".pack"
SIZE = 32
SCHEMA = pa.schema([("hash", pa.binary(SIZE)), ("data", pa.large_binary())])
_NOTHING = np.zeros((0, SIZE), dtype=np.uint8)


def hash_of(data: bytes) -> str:
    """The name of a file: SHA-256 of its bytes as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def as_digests(hashes: Iterable[str | None]) -> np.ndarray:
    """Hex hashes as bytes, uint8 (n, 32); zeros for what is None."""
    joined = "".join("0" * 64 if name is None else name for name in hashes)
    return np.frombuffer(bytes.fromhex(joined), dtype=np.uint8).reshape(-1, SIZE)


class Pack:
    """One file: the digests in it (n, 32), and where the bytes of each lie."""

    def __init__(self, path: Path) -> None:
        self.path = path
        columns = [(_fixed(batch.column(0)), *_binary(batch.column(1))) for batch in _batches(path)]
        self.buffers = [data for _, _, data in columns]
        self.digests = np.concatenate([_NOTHING, *(digests for digests, _, _ in columns)])
        self.lot = np.repeat(np.arange(len(columns)), [len(digests) for digests, _, _ in columns])
        self.starts = np.concatenate([np.zeros(0, np.int64), *(offsets[:-1] for _, offsets, _ in columns)])
        self.sizes = np.concatenate([np.zeros(0, np.int64), *(np.diff(offsets) for _, offsets, _ in columns)])

    def view(self, place: int) -> memoryview:
        """The bytes of one file. They stay readable when the pack is deleted."""
        start = int(self.starts[place])
        data: memoryview = self.buffers[int(self.lot[place])][start : start + int(self.sizes[place])]
        return data


def _batches(path: Path) -> list[pa.RecordBatch]:
    try:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            return [reader.get_batch(place) for place in range(reader.num_record_batches)]
    except pa.ArrowInvalid as cause:
        fix = "restore it from a backup; or delete it and run `volant check`, which reads the source again"
        raise Failure("a pack of media is damaged", code="artifact-damaged", where=path.name, fix=fix) from cause


def _fixed(array: pa.Array) -> np.ndarray:
    raw = np.frombuffer(array.buffers()[1], dtype=np.uint8)
    return raw[array.offset * SIZE : (array.offset + len(array)) * SIZE].reshape(-1, SIZE)


def _binary(array: pa.Array) -> tuple[np.ndarray, memoryview]:
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return places, memoryview(data if data is not None else b"")


@dataclass(frozen=True)
class Index:
    """Which digest lies in which pack: digests (n, 32) in the order of their beginnings `keys` (n,).

    `rows` (n, 2) are the pack of each and its place in it.
    """

    packs: tuple[Pack, ...] = ()
    keys: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    digests: np.ndarray = field(default_factory=lambda: _NOTHING)
    rows: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    @staticmethod
    def of(packs: Sequence[Pack]) -> Index:
        if not packs:
            return Index()
        owner = np.repeat(np.arange(len(packs)), [len(pack.digests) for pack in packs])
        inside = np.concatenate([np.arange(len(pack.digests)) for pack in packs])
        digests = np.concatenate([pack.digests for pack in packs])
        keys = _beginnings(digests)
        order = np.argsort(keys, kind="stable")
        return Index(tuple(packs), keys[order], digests[order], np.stack([owner, inside], axis=1)[order])

    def places(self, digests: np.ndarray) -> np.ndarray:
        """Where each of the digests (n, 32) lies, (n, 2): pack and place in it, -1 where it is in none."""
        found = np.full((len(digests), 2), -1, dtype=np.int64)
        keys = _beginnings(digests)
        left, right = np.searchsorted(self.keys, keys, side="left"), np.searchsorted(self.keys, keys, side="right")
        for step in range(int((right - left).max(initial=0))):  # more than one where beginnings collide
            tried = np.flatnonzero((left + step < right) & (found[:, 0] < 0))
            at = left[tried] + step
            same = (self.digests[at] == digests[tried]).all(axis=1)
            found[tried[same]] = self.rows[at[same]]
        return found

    def view(self, pack: int, place: int) -> memoryview:
        """The bytes of one file."""
        return self.packs[pack].view(place)


def _beginnings(digests: np.ndarray) -> np.ndarray:
    """The first eight bytes of digests as numbers, (n,)."""
    whole: np.ndarray = np.ascontiguousarray(digests).view(np.uint64).reshape(-1, SIZE // 8)
    return whole[:, 0]
