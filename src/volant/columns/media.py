"""Cells that are files (pictures, later sound and film): what may stand for one, and work on many of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from volant.columns import cells
from volant.core.plugins import column_type
from volant.core.protocols import Media
from volant.core.records import Schema

DAMAGED, OTHER, TOO_LARGE = "input-invalid", "media-type", "request-too-large"
"""Why a file is refused, as the codes of errors: what it holds, what kind of file it is, its size."""

_DATA_URL = re.compile(r"data:([\w.+/-]*)((?:;[\w.+=-]+)*?)(;base64)?,", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://|[^,]*$)")
_REFERENCE, _HASH = "sha256:", re.compile(r"[0-9a-f]{64}")
_BLANKS = str.maketrans("", "", " \t\r\n")
_LONGEST_HEAD = 256


class Unfit(ValueError):
    """A file that is not taken. `code` is one of `DAMAGED`, `OTHER` and `TOO_LARGE`."""

    def __init__(self, what: str, code: str = DAMAGED) -> None:
        super().__init__(what)
        self.code = code


def file_of(cell: Any, missing: frozenset[str], most_bytes: int) -> bytes | None:
    """The bytes that a cell holds, or None where it is missing.

    A cell is bytes, their text in base64, a `data:` URL, or an object of `bytes` and `path` as Hugging Face's
    data sets have it. A path or an address alone is never followed: who reads a source does that.

    Raises:
        Unfit: it is none of these, or too large.
    """
    if isinstance(cell, bytes | bytearray | memoryview):
        return _within(bytes(cell), most_bytes) or None
    if isinstance(cell, Mapping):
        return _of_object(cell, missing, most_bytes)
    cell = cells.plain(cell)
    if cell is None:
        return None
    if not isinstance(cell, str):
        raise Unfit(f"expected the bytes of a file, in base64, not {type(cell).__name__}")
    text = cell.strip()
    return None if text in missing else _of_text(text, most_bytes)


def _of_object(cell: Mapping[Any, Any], missing: frozenset[str], most_bytes: int) -> bytes | None:
    if not set(cell) <= {"bytes", "path"} or "bytes" not in cell:
        raise Unfit("expected an object of bytes and path")
    inside = cell["bytes"]
    if inside is None or (isinstance(inside, float) and inside != inside):
        if cell.get("path"):
            raise Unfit("the file that the path names cannot be read")
        return None
    if isinstance(inside, Mapping):
        raise Unfit("expected an object of bytes and path")
    if inside == b"" and cell.get("path"):
        raise Unfit("the file is empty")
    return file_of(inside, missing, most_bytes)


def _of_text(text: str, most_bytes: int) -> bytes | None:
    head = _DATA_URL.match(text[:_LONGEST_HEAD])
    if head is None and _ADDRESS.match(text[:_LONGEST_HEAD]):
        raise Unfit("an address is not fetched: expected the bytes of the file, in base64")
    if head is not None and head[3] is None:
        raise Unfit("a data: URL must be in base64")
    encoded = text[head.end() :] if head else text
    if len(encoded) // 4 * 3 > most_bytes + 3:
        raise _too_large(most_bytes)
    try:
        if any(blank in encoded for blank in " \t\r\n"):
            encoded = encoded.translate(_BLANKS)
        return _within(base64.b64decode(encoded, validate=True), most_bytes) or None
    except (binascii.Error, ValueError) as cause:
        if isinstance(cause, Unfit):
            raise
        raise Unfit("expected the bytes of a file, in base64") from None


def _within(data: bytes, most_bytes: int) -> bytes:
    if len(data) > most_bytes:
        raise _too_large(most_bytes)
    return data


def _too_large(most_bytes: int) -> Unfit:
    return Unfit(f"the file is larger than {most_bytes / 1e6:g} MB", TOO_LARGE)


def reference(name: str) -> str:
    """What stands for a file in a log: `sha256:` and the hash of its bytes."""
    return f"{_REFERENCE}{name}"


def referred(cell: Any) -> str | None:
    """The hash that a reference holds; None for what is none."""
    if not isinstance(cell, str) or not cell.startswith(_REFERENCE):
        return None
    name = cell.removeprefix(_REFERENCE)
    return name if _HASH.fullmatch(name) else None


def told(what: str, accept: Callable[[bytes], None], data: bytes) -> None:
    """Let `accept` look at a file; whatever else it raises becomes `Unfit` with the words `what`."""
    try:
        accept(data)
    except (Unfit, MemoryError):
        raise
    except Exception:  # whatever a decoder raises on hostile bytes: SyntaxError, OSError, struct.error, IndexError …
        raise Unfit(what) from None


class Shelf(Protocol):
    """Where the files of a dataset lie. It remembers what was made of them."""

    def read(self, name: str) -> bytes: ...

    def remember(self, names: Sequence[str], key: str, make: Callable[[Sequence[bytes]], np.ndarray]) -> np.ndarray: ...


class Stored:
    """A cell whose file lies on a shelf: `name` is the hash of its bytes, and `bytes(cell)` reads it."""

    __slots__ = ("name", "shelf")

    def __init__(self, name: str, shelf: Shelf) -> None:
        self.name = name
        self.shelf = shelf

    def __bytes__(self) -> bytes:
        return self.shelf.read(self.name)

    def __repr__(self) -> str:
        return f"<file {self.name[:12]}>"


def names_of(cells: np.ndarray) -> list[str | None]:
    """The hashes of the files that cells stand for, None where missing."""
    return [None if c is None else c.name if isinstance(c, Stored) else hashlib.sha256(c).hexdigest() for c in cells]


def in_hand(cells: np.ndarray) -> np.ndarray:
    """Cells with their files read, as a request brings them: nothing that was made of them before is remembered."""
    if not any(isinstance(cell, Stored) for cell in cells):
        return cells
    found = np.empty(len(cells), dtype=object)
    found[:] = [bytes(cell) if isinstance(cell, Stored) else cell for cell in cells]
    return found


def over_files(
    cells: np.ndarray, key: str, make: Callable[[Sequence[bytes]], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """What `make` makes of the files: the places (m,) of those that are there, and an array (m, …).

    `make` is not called where there are none. Where the cells lie on a shelf, what was made of a file before under the
    same `key` is not made again.
    """
    places = np.array([place for place, cell in enumerate(cells) if cell is not None], dtype=np.int64)
    if not len(places):
        return places, np.zeros(0)
    some = [cells[place] for place in places]
    shelf = some[0].shelf if isinstance(some[0], Stored) else None
    if shelf is not None and all(isinstance(cell, Stored) and cell.shelf is shelf for cell in some):
        return places, shelf.remember([cell.name for cell in some], key, make)
    return places, make([bytes(cell) for cell in some])


def media_columns(schema: Schema) -> tuple[str, ...]:
    """The names of the columns whose cells are files."""
    return tuple(column.name for column in schema.columns if is_media(column.type))


def is_media(kind: str) -> bool:
    """Whether the cells of a column type are files."""
    return isinstance(column_type(kind), Media)
