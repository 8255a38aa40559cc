"""A text file of any encoding as a stream of clean UTF-8."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from volant.core.progress import Progress
from volant.data.sources.encoding import BLOCK, Survey, opened

_TAIL = 1024


class Utf8Stream(io.RawIOBase):
    """Reads what a survey found: without byte-order mark and NUL bytes, damaged characters as U+FFFD.

    `last` is the last byte read that is not white space.
    """

    def __init__(self, raw: IO[bytes], found: Survey, progress: Progress) -> None:
        super().__init__()
        self._blocks = _blocks(raw, found, progress)
        self._rest = b""
        self.last = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Exactly `size` bytes, fewer at the end; all of them when it is negative."""
        parts, length = [self._rest], len(self._rest)
        while size is None or size < 0 or length < size:
            block = next(self._blocks, b"")
            if not block:
                break
            parts.append(block)
            length += len(block)
        whole = b"".join(parts)
        cut = length if size is None or size < 0 else min(size, length)
        self._rest = whole[cut:]
        self.last = whole[max(cut - _TAIL, 0) : cut].rstrip()[-1:] or self.last
        return whole[:cut]

    def readinto(self, buffer: Any) -> int:
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _blocks(raw: IO[bytes], found: Survey, progress: Progress) -> Iterator[bytes]:
    raw.read(found.mark)
    as_it_is = found.encoding == "utf-8" and not found.damaged
    decoder = codecs.getincrementaldecoder(found.encoding)("replace")
    done = found.mark
    while True:
        block = raw.read(BLOCK)
        done += len(block)
        clean = block if as_it_is else decoder.decode(block, not block).encode("utf-8", "replace")
        clean = clean.replace(b"\0", b"") if found.nulls or not as_it_is else clean
        if clean:
            yield clean
        if not block:
            return
        progress.advance(done, f"{found.path.name}: {done / 1e6:,.0f} MB")


@contextmanager
def reading(found: Survey, progress: Progress) -> Iterator[Utf8Stream]:
    """The surveyed file as UTF-8, told to `progress` in bytes."""
    progress.stage(f"read {found.path.name}", total=found.size)
    with opened(found.path) as raw:
        yield Utf8Stream(raw, found, progress)
