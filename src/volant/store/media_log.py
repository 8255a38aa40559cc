"""What a service is sent: media in segments of frames, written before the prediction that names them.

A frame holds the 32 bytes of SHA-256 and the file. Segments of processes that are gone are packed and deleted.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

from volant.errors import BadInput
from volant.store.frames import HEADER, MAGIC, MAX_PAYLOAD, frame
from volant.store.log import FrameLog

SIZE = 32


class MediaLog(FrameLog):
    """Appends media to segments of this process. A file that the segment holds already is not written again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, "media")
        self._held: set[bytes] = set()

    def keep(self, data: bytes) -> str:
        """Hand a file to the operating system; its hash. On return `kill -9` does not lose it.

        Raises:
            BadInput: code `input-invalid`: it is larger than a frame can be.
            Failure: code `store-full` or `store-failed`. Every later call fails too.
        """
        digest = hashlib.sha256(data).digest()
        if digest not in self._held:
            if len(data) > MAX_PAYLOAD - SIZE:
                raise BadInput("a file is too large to be logged", code="input-invalid", got=f"{len(data)} bytes")
            if self._write(frame(digest + data)):
                self._held = set()
            self._held.add(digest)
        return digest.hex()

    def _forget(self) -> None:
        self._held = set()


def frames_of(path: Path) -> Iterator[bytes]:
    """The files in a segment, up to the first frame that is not whole."""
    try:
        live = Live(path)
    except FileNotFoundError:  # another process packed it
        return
    try:
        live.look()
        for digest in live.places:
            data = live.read(digest)
            if data is not None:
                yield data
    finally:
        live.close()


class Live:
    """A segment that is still written to, or that nobody has packed yet: frames of a digest and bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.close = weakref.finalize(self, os.close, self._file)
        self._end = 0
        self.places: dict[bytes, tuple[int, int]] = {}

    def look(self) -> None:
        """Take note of the frames that were added."""
        size = os.fstat(self._file).st_size
        while self._end + HEADER.size + SIZE <= size:
            head = os.pread(self._file, HEADER.size + SIZE, self._end)
            magic, length, _ = HEADER.unpack_from(head)
            end = self._end + HEADER.size + length
            if magic != MAGIC or not SIZE <= length <= MAX_PAYLOAD or end > size:
                return
            self.places[head[HEADER.size :]] = (self._end + HEADER.size + SIZE, length - SIZE)
            self._end = end

    def read(self, digest: bytes) -> bytes | None:
        """The bytes, or None where they are not what was written."""
        start, size = self.places[digest]
        data = os.pread(self._file, size, start)
        return data if hashlib.sha256(data).digest() == digest else None
