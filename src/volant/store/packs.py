"""Media: files kept once, by the hash of their bytes, in a folder of packs that appear whole or not at all.

What a service is sent lies in segments until the process ends that wrote them (`volant.store.media_log`), and is then
packed. Pictures, sound and film are media.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from volant.core.ids import uuid7
from volant.store import artifacts, disk, flock
from volant.store.media_log import Live, frames_of
from volant.store.pack import SCHEMA, SIZE, SUFFIX, Index, Pack, as_digests
from volant.store.segment import FRESH
from volant.store.segment import SUFFIX as LIVE

LOT_BYTES = 16_000_000
"""Bytes that a writer holds before it writes them."""


class Packs:
    """A folder of packs. Threads may share it; other processes may add packs at any time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._live: dict[str, Live] = {}
        self._known = Index()

    def has(self, hashes: Sequence[str | None]) -> np.ndarray:
        """Which of the hashes are here, bool (n,)."""
        with self._lock:
            self.refresh()
            digests = as_digests(hashes)
            known = self._known.places(digests)[:, 0] >= 0
            live = {digest for segment in self._live.values() for digest in segment.places}
            if live:
                known |= np.array([digest.tobytes() in live for digest in digests], dtype=bool)
            return known

    def holds(self, digest: bytes) -> bool:
        """Whether a pack that is known holds a file of that digest."""
        return bool(self._known.places(np.frombuffer(digest, np.uint8)[None])[0, 0] >= 0)

    def read(self, name: str) -> bytes | None:
        """The bytes of one file by its hash, or None."""
        return self.read_all([name])[0]

    def read_all(self, hashes: Sequence[str | None]) -> list[bytes | None]:
        """The bytes of files by their hashes, None for what is None or not here."""
        return [None if view is None else bytes(view) for view in self.views(hashes)]

    def views(self, hashes: Sequence[str | None]) -> list[memoryview | bytes | None]:
        """The same without a copy, where that can be."""
        with self._lock:
            found = self._found(hashes)
            if any(data is None and name is not None for data, name in zip(found, hashes, strict=True)):
                self.refresh()
                found = self._found(hashes)
        return found

    def _found(self, hashes: Sequence[str | None]) -> list[memoryview | bytes | None]:
        index = self._known
        places = index.places(as_digests(hashes))
        return [
            None if name is None else index.view(pack, place) if pack >= 0 else self._of_live(name)
            for name, (pack, place) in zip(hashes, places, strict=True)
        ]

    def _of_live(self, name: str) -> bytes | None:
        digest = bytes.fromhex(name)
        return next((one.read(digest) for one in self._live.values() if digest in one.places), None)

    def refresh(self) -> None:
        """Take note of packs that came or went."""
        with self._lock:
            while True:
                try:
                    self._look()
                except FileNotFoundError:  # it was rewritten or packed since it was listed
                    continue
                return

    def _look(self) -> None:
        names = sorted(path.name for path in self.folder.glob(f"*{SUFFIX}"))
        held = {pack.path.name: pack for pack in self._known.packs}
        if names != list(held):
            self._known = Index.of([held.get(name) or Pack(self.folder / name) for name in names])
        live = {path.name for path in self.folder.glob(f"*{LIVE}")}
        for name in set(self._live) - live:
            self._live.pop(name).close()
        for name in sorted(live):
            if name not in self._live:
                self._live[name] = Live(self.folder / name)
            self._live[name].look()

    @contextmanager
    def writing(self) -> Iterator[PackWriter]:
        """Put files in; they are there, all of them, after the writer's `commit`.

        Nothing is swept away before the block is left, so what was there already may be relied on.
        """
        with artifacts.full_disk_told("writing media"):
            self.folder.mkdir(parents=True, exist_ok=True)
            with flock.shared(self.folder / ".lock"):
                artifacts.sweep(self.folder)
                self.refresh()
                with PackWriter(self) as writer:
                    yield writer

    def pack_segments(self) -> int:
        """Pack what processes that are gone were sent, and delete their segments; how many files were new.

        Any process may call it at any time.
        """
        for path in self.folder.glob(f"*{FRESH}"):
            if not flock.is_held(path):  # its writer died before it gave the segment a name
                path.unlink(missing_ok=True)
        dead = [path for path in sorted(self.folder.glob(f"*{LIVE}")) if not flock.is_held(path)]
        if not dead:
            return 0
        with self.writing() as writer:
            for path in dead:
                for data in frames_of(path):
                    writer.add(data)
            writer.commit()
            new = len(writer)
            for path in dead:
                path.unlink(missing_ok=True)
        self.refresh()
        return new

    def rewrite(self, keep: Callable[[np.ndarray], np.ndarray]) -> int:
        """Keep only the files whose digests (n, 32) `keep` says True to, bool (n,); how many went.

        Waits until nobody writes. Packs of which nothing is kept are deleted, others are written anew. Segments of
        processes that run stay as they are.
        """
        gone = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock, artifacts.full_disk_told("rewriting media"), flock.turn(self.folder / ".lock"):
            self.refresh()
            for pack in self._known.packs:
                kept = np.asarray(keep(pack.digests), dtype=bool)
                if kept.all():
                    continue
                with PackWriter(self) as writer:
                    for place in np.flatnonzero(kept):
                        writer.put(pack.digests[place].tobytes(), bytes(pack.view(int(place))))
                    writer.commit()
                pack.path.unlink(missing_ok=True)
                gone += int((~kept).sum())
            disk.sync_path(self.folder)
            self.refresh()
        return gone

    def all_digests(self) -> np.ndarray:
        """The digests of all packed files, uint8 (n, 32)."""
        with self._lock:
            self.refresh()
            return np.concatenate([np.zeros((0, SIZE), dtype=np.uint8), *(pack.digests for pack in self._known.packs)])


class PackWriter:
    """Collects files into a pack, which takes its name when they are committed."""

    def __init__(self, packs: Packs) -> None:
        self._packs = packs
        self._new: set[bytes] = set()
        self._held: list[tuple[bytes, bytes]] = []
        self._bytes = 0
        self._out: Any = None
        self._path: Path | None = None
        self._lock: int | None = None

    def __len__(self) -> int:
        """How many files are new."""
        return len(self._new)

    def add(self, data: bytes) -> str:
        """Put a file in, unless it is there already; gives its hash."""
        digest = hashlib.sha256(data).digest()
        if digest not in self._new and not self._packs.holds(digest):
            self.put(digest, data)
        return digest.hex()

    def put(self, digest: bytes, data: bytes) -> None:
        """Put a file in whose digest is known and which is not there."""
        self._new.add(digest)
        self._held.append((digest, data))
        self._bytes += len(data)
        if self._bytes >= LOT_BYTES:
            self._write()

    def commit(self) -> None:
        """On return the files are on disk and can be read."""
        if self._held:
            self._write()
        if self._out is not None and self._path is not None:
            self._out.close()
            disk.sync_path(self._path)
            self._path.rename(self._packs.folder / f"{uuid7()}{SUFFIX}")
            disk.sync_path(self._packs.folder)
            self._packs.refresh()
        self._done()

    def _write(self) -> None:
        if self._out is None:
            self._path, self._lock = artifacts.locked_file(self._packs.folder)
            self._out = pa.ipc.new_file(pa.OSFile(str(self._path), "wb"), SCHEMA)
        hashes = pa.array([digest for digest, _ in self._held], pa.binary(SIZE))
        files = pa.array([data for _, data in self._held], pa.large_binary())
        self._out.write_batch(pa.record_batch([hashes, files], schema=SCHEMA))
        self._held, self._bytes = [], 0

    def _done(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
        self._out = self._path = self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever was not committed is thrown away."""
        self._done()
