"""The files of a dataset, read when they are asked for; what was made of them is made once and kept.

Decoding a picture and describing it take far longer than reading the result, and every fold, every learner and every
evaluation asks for the same. Results are kept beside the datasets, by the hash of the file and by what was made; the
folder may be deleted at any time.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from volant.columns.media import Stored
from volant.core.ids import digest
from volant.errors import Failure
from volant.store.artifacts import write_file_atomic
from volant.store.packs import Packs

MEDIA, CACHE = "media", "cache"
"""Folders of a product's home."""

LOT = 256
"""Files that something is made of at once."""

MOST_BYTES = 20_000_000_000
MOST_OF_DISK = 0.2
"""What all results together may take, and the share of the free disk that new ones may."""

SHAPE = "shape.json"

Make = Callable[[Sequence[bytes]], np.ndarray]


class StoreShelf:
    """The media of a product's home. Threads may share it."""

    def __init__(self, home: Path) -> None:
        self.packs = Packs(home / MEDIA)
        self._cache = home / CACHE
        self._lock = threading.Lock()
        self._made: dict[str, _Made] = {}

    def cells(self, names: Sequence[str | None]) -> np.ndarray:
        """Cells that stand for files, objects (n,)."""
        found = np.empty(len(names), dtype=object)
        found[:] = [None if name is None else Stored(name, self) for name in names]
        return found

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            Failure: code `artifact-damaged`: it is gone.
        """
        data = self.packs.read(name)
        if data is None:
            raise _gone(name)
        return data

    def column(self, names: Sequence[str | None]) -> pa.Array:
        """The bytes of files as an Arrow array."""
        files = self.packs.read_all(names)
        lost = next((n for n, data in zip(names, files, strict=True) if data is None and n is not None), None)
        if lost is not None:
            raise _gone(lost)
        return pa.array(files, pa.large_binary())

    def remember(self, names: Sequence[str], key: str, make: Make) -> np.ndarray:
        """What `make` makes of files, (n, …), looked up where it was made before under the same `key`."""
        with self._lock:
            made = self._made.setdefault(key, _Made(self, self._cache / digest(key)[:32]))
        return made.of(names, make)

    def room(self, needed: int) -> bool:
        """Whether results of so many bytes may be kept; older ones make room for them."""
        self._cache.mkdir(parents=True, exist_ok=True)
        if needed > min(MOST_BYTES, MOST_OF_DISK * shutil.disk_usage(self._cache).free):
            return False
        folders = sorted((path for path in self._cache.iterdir() if path.is_dir()), key=lambda p: p.stat().st_mtime)
        sizes = {folder: sum(p.stat().st_size for p in folder.iterdir()) for folder in folders}
        while folders and sum(sizes.values()) + needed > MOST_BYTES:
            oldest = folders.pop(0)
            sizes.pop(oldest)
            shutil.rmtree(oldest, ignore_errors=True)
        return True


def _gone(name: str) -> Failure:
    return Failure(
        "a file of the dataset is gone",
        code="artifact-damaged",
        where=f"media, {name[:12]}",
        fix="run `volant check`, which reads the source again",
    )


class _Made:
    """The results of one kind of work, one row of an array per file, in a folder of packs."""

    def __init__(self, shelf: StoreShelf, folder: Path) -> None:
        self._shelf = shelf
        self._folder = folder
        self._packs = Packs(folder)
        self._lock = threading.Lock()

    def of(self, names: Sequence[str], make: Make) -> np.ndarray:
        """One row per name, (n, …)."""
        with self._lock:  # who comes second finds what the first one made
            unique = list(dict.fromkeys(names))
            known = self._packs.has(unique)
            fresh = [name for name, there in zip(unique, known, strict=True) if not there]
            own = self._make(fresh, make) if fresh else {}
            return self._gathered(names, own, make)

    def _make(self, fresh: Sequence[str], make: Make) -> dict[str, np.ndarray]:
        """Make what is missing and keep it; gives it where there is no room to keep it."""
        first = make(self._files(fresh[:LOT]))
        if not self._shelf.room(first[:1].nbytes * len(fresh)):
            own = dict(zip(fresh[:LOT], first, strict=True))
            for start in range(LOT, len(fresh), LOT):
                lot = fresh[start : start + LOT]
                own.update(zip(lot, make(self._files(lot)), strict=True))
            return own
        with self._packs.writing() as writer:
            shape = {"shape": first.shape[1:], "type": first.dtype.str}
            write_file_atomic(self._folder / SHAPE, json.dumps(shape).encode())
            for start in range(0, len(fresh), LOT):
                lot = fresh[start : start + LOT]
                rows = make(self._files(lot)) if start else first
                for name, row in zip(lot, rows, strict=True):
                    writer.put(bytes.fromhex(name), row.tobytes())
            writer.commit()
        return {}

    def _files(self, names: Sequence[str]) -> list[bytes]:
        return [self._shelf.read(name) if data is None else data
                for name, data in zip(names, self._shelf.packs.read_all(names), strict=True)]  # fmt: skip

    def _gathered(self, names: Sequence[str], own: Mapping[str, np.ndarray], make: Make) -> np.ndarray:
        views = self._packs.views(names)
        lost = [n for n, view in zip(names, views, strict=True) if view is None and n not in own]
        if lost:  # somebody made room, and deleted them
            own = {**own, **dict(zip(lost, make(self._files(lost)), strict=True))}
        if own:
            like = next(iter(own.values()))
            shape, kind = like.shape, like.dtype
        else:
            described = json.loads((self._folder / SHAPE).read_bytes())
            shape, kind = tuple(described["shape"]), np.dtype(described["type"])
            self._folder.touch()
        out = np.empty((len(names), *shape), dtype=kind)
        for place, (name, view) in enumerate(zip(names, views, strict=True)):
            out[place] = own[name] if view is None else np.frombuffer(view, dtype=kind).reshape(shape)
        return out
