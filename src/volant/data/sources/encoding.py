"""The encoding of a text file, found out by reading all of it once, a block at a time."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from volant.bind.charset import guess
from volant.core.ids import file_digest
from volant.data.sources.source import REPLACEMENT, unreadable

BLOCK = 4 * 1024 * 1024
LONGEST_LINE = BLOCK
_SAMPLE = 64 * 1024
_SAMPLE_LINES = 1_000
_CONTROL = bytes([*range(9), *range(14, 27), *range(28, 32)])
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAGIC = {
    b"PK\x03\x04": "a zip archive or a workbook",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"SQLite format 3": "an SQLite database",
}


@dataclass
class Survey:
    """What one pass over a text file tells.

    `mark` is the number of bytes of the byte-order mark; `damaged` that some characters could not be, or
    had not been, decoded; `nulls` counts NUL bytes that do not belong; `quotes` counts quotation marks.
    """

    path: Path
    digest: str = ""
    encoding: str = "utf-8"
    mark: int = 0
    size: int = 0
    lines: int = 0
    nulls: int = 0
    quotes: int = 0
    damaged: bool = False

    def notes(self) -> dict[str, object]:
        found: dict[str, object] = {"encoding": self.encoding}
        if self.nulls:
            found["nul_bytes"] = self.nulls
        return found


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed where it is gzip; errors of reading name the file.

    Raises:
        BadInput: code `source-unreadable`.
    """
    fix = "check that the file is whole and that you may read it"
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            raw.seek(0)
            if magic == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=raw) as stream:
                    yield cast(IO[bytes], stream)
            else:
                yield raw
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise unreadable("the compressed file is damaged or cut off", path.name, fix=fix) from None
    except OSError as cause:
        raise unreadable("the file cannot be read", path.name, got=type(cause).__name__, fix=fix) from cause


def survey(path: Path, *, longest_line: int | None = LONGEST_LINE) -> Survey:
    """Read a text file once and find out its encoding; `longest_line` limits the bytes between two line ends.

    Raises:
        BadInput: code `source-unreadable`: not text, or a line that is too long.
    """
    found = Survey(path)
    lines = _Lines(path.name, longest_line)
    with opened(path) as stream:
        block = stream.read(BLOCK)
        tally = _begin(found, block)
        hashed = hashlib.sha256()
        while block:
            hashed.update(block)
            lines.feed(block)
            found.nulls += block.count(0) if found.encoding == "utf-8" else 0
            found.quotes += block.count(b'"') + block.count(b"'")
            found.size += len(block)
            tally.feed(block)
            block = stream.read(BLOCK)
    found.digest = hashed.hexdigest() if path.suffix.lower() != ".gz" else file_digest(path)
    found.lines = lines.count
    tally.finish(found)
    return found


def _begin(found: Survey, block: bytes) -> _Tally:
    kind = next((kind for magic, kind in _MAGIC.items() if block.startswith(magic)), None)
    if kind is None:
        found.mark, found.encoding = _marked(block)
        head = block[:_SAMPLE]
        if found.encoding == "utf-8" and len(head) - len(head.translate(None, _CONTROL)) > max(len(head) // 100, 8):
            kind = "binary data"
    if kind is not None:
        fix = "give the file the ending of its format, or export it as CSV"
        raise unreadable("this is not a text file", found.path.name, got=kind, fix=fix)
    return _Tally(found.encoding)


def _marked(block: bytes) -> tuple[int, str]:
    """The length of the byte-order mark and the encoding that it, or a pattern of NUL bytes, tells."""
    for mark, encoding in _MARKS:
        if block.startswith(mark):
            return len(mark), encoding
    head = block[:_SAMPLE]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 8 and min(even, odd) <= len(head) // 100:
        return 0, "utf-16-le" if odd > even else "utf-16-be"
    return 0, "utf-8"


@dataclass
class _Lines:
    """Counts lines and stops at one that never ends, before it fills the memory."""

    name: str
    longest: int | None
    count: int = 0
    open: int = 0

    def feed(self, block: bytes) -> None:
        first = min((at for at in (block.find(b"\n"), block.find(b"\r")) if at >= 0), default=len(block))
        if self.longest is not None and self.open + first > self.longest:
            raise unreadable(
                f"a line is longer than {self.longest // 1024**2} MiB",
                f"{self.name}, line {self.count + 1}",
                fix="check that the file has line ends, and that every quotation mark is closed",
            )
        last = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self.open = self.open + len(block) if last < 0 else len(block) - last - 1
        self.count += block.count(b"\n") or block.count(b"\r")


@dataclass
class _Tally:
    """Counts the characters that decode, those that do not, and those that were lost before."""

    encoding: str
    wrong: int = 0
    right: int = 0
    lost: int = 0
    sample: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder(self.encoding)("replace")

    def feed(self, block: bytes) -> None:
        if self.encoding == "utf-8" and block.isascii() and not self._decoder.getstate()[0]:
            return
        text = self._decoder.decode(block)
        replaced, lost = text.count(REPLACEMENT), block.count(REPLACEMENT.encode(self.encoding))
        self.lost += lost
        self.wrong += max(replaced - lost, 0)
        self.right += len(text) - len(text.encode("ascii", "ignore")) - replaced
        if self.wrong and sum(map(len, self.sample)) < _SAMPLE:
            self.sample += [line for line in block.splitlines() if not line.isascii()][:_SAMPLE_LINES]

    def finish(self, found: Survey) -> None:
        self.wrong += self._decoder.decode(b"", True).count(REPLACEMENT)
        if self.wrong and found.encoding == "utf-8" and not found.mark and self.right < 2 * self.wrong:
            found.encoding = guess(b"\n".join(self.sample)[:_SAMPLE])
        found.damaged = bool(self.wrong or self.lost)
