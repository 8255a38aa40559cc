"""Segments: append-only files of frames, each written by one process, which holds a lock on it."""

from __future__ import annotations

import os
from pathlib import Path

from volant.core.ids import uuid7
from volant.store import disk, flock

SUFFIX = ".seg"
FRESH = ".new"
ASKED = ".asked"
"""Whoever wants a live segment to be done with makes a file of its name with this ending."""


class Segment:
    """A segment being written. It is live, and nobody deletes it, until it is closed or the process ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = 0
        self._descriptor = descriptor
        self._listed = False

    @staticmethod
    def create(folder: Path) -> Segment:
        """A new empty segment in `folder`. It gets its name only once it is locked, so it is never seen dead."""
        while True:
            path = folder / f"{uuid7()}{SUFFIX}"
            fresh = path.with_suffix(FRESH)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(fresh, flags, 0o600)
            flock.take(descriptor)
            try:
                fresh.rename(path)
            except FileNotFoundError:  # swept away before it was locked
                os.close(descriptor)
                continue
            return Segment(path, descriptor)

    def write(self, data: bytes) -> None:
        """Hand frames to the operating system, all or nothing.

        Raises:
            OSError: nothing of `data` is left in the file, as far as the system allows.
        """
        try:
            disk.write_all(self._descriptor, data)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def sync(self) -> None:
        """Return when everything written so far is on disk, the file's name included."""
        disk.sync(self._descriptor)
        if not self._listed:
            disk.sync_path(self.path.parent)
            self._listed = True

    def is_asked_for(self) -> bool:
        """Whether another process wants this segment to be done with; it is told only once."""
        try:
            self.path.with_suffix(ASKED).unlink()
        except FileNotFoundError:
            return False
        return True

    def close(self) -> None:
        os.close(self._descriptor)
