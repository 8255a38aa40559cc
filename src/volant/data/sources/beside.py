"""Tables that name files: a column of paths becomes a column of the files themselves."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns.cells import simple
from volant.columns.media import Unfit, file_of
from volant.columns.missing import null_missing, tokens
from volant.core.ids import digest
from volant.data.sources.photos import LOT_BYTES, LOT_ROWS, cells, is_picture, read_file
from volant.data.sources.source import Source, is_text

SHOWN = 40
ENOUGH = 0.9
FOUND = 0.5
"""Of the cells that are looked at, the share that must end like pictures, and that of files that are there."""

LONGEST = 4_096
_LARGEST_TEXT = 60_000_000


@dataclass(frozen=True)
class Beside:
    """Files that a table names, in the folder that their paths are relative to, and nowhere else."""

    folder: Path

    def names_files(self, values: pa.Array | pa.ChunkedArray) -> bool:
        """Whether texts are paths of pictures, of which enough exist."""
        some = _some(values)
        return self.names_pictures(values) and bool(np.mean([self._is_file(text) for text in some]) >= FOUND)

    def names_pictures(self, values: pa.Array | pa.ChunkedArray) -> bool:
        """Whether texts end like the names of pictures, there or not."""
        some = _some(values)
        return bool(len(some) and np.mean([is_picture(text) for text in some]) >= ENOUGH)

    def sample(self, values: pa.Array | pa.ChunkedArray) -> pa.Array:
        """A few of the files as raw cells."""
        some = _some(values)
        return cells(some, [self.read(text) for text in some])

    def read(self, text: str) -> bytes | None:
        """The bytes of the file that a path names, or None."""
        path = self.path(text)
        return None if path is None else read_file(path)

    def path(self, text: str) -> Path | None:
        """The path that a cell names; None for what is none, such as an address, or lies outside of the folder."""
        if not text or len(text) > LONGEST or "\0" in text or "://" in text:
            return None
        root = os.path.normpath(self.folder)
        path = Path(os.path.normpath(os.path.join(root, text.strip().replace("\\", "/"))))  # noqa: PTH118
        return path if path.is_relative_to(root) else None

    def _is_file(self, text: str) -> bool:
        path = self.path(text)
        try:
            return path is not None and path.is_file()
        except OSError:
            return False


def _some(values: pa.Array | pa.ChunkedArray) -> list[str]:
    if not is_text(values.type):
        return []
    known = simple(values).drop_null()
    places = np.linspace(0, len(known) - 1, min(SHOWN, len(known))).astype(np.int64)
    return [text for text in known.take(pa.array(places)).to_pylist() if text.strip()]


def with_files(source: Source, columns: Collection[str]) -> Source:
    """The source with the files that `columns` name in place of their paths; the source itself where none do.

    Cells that hold a file themselves, in base64, stay what they are.
    """
    paths = [name for name in columns if name in source.names and is_text(source.schema.field(name).type)]
    if not paths or source.beside is None:
        return source
    beside, kind = Beside(source.beside), cells([], []).type
    schema = pa.schema([pa.field(f.name, kind) if f.name in paths else f for f in source.schema])
    missing = tokens(source.missing)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in source.batches():
            yield from _opened(batch, paths, schema, beside, missing)

    def identify() -> str:
        named = [text for batch in source.batches() for name in paths for text in batch.column(name).to_pylist()]
        return digest([source.identify(), [_state(beside, text) for text in dict.fromkeys(named)]])

    return replace(source, schema=schema, batches=batches, identify=identify)


def _state(beside: Beside, text: str | None) -> list[object]:
    """What tells a changed file."""
    path = None if text is None else beside.path(text)
    try:
        found = None if path is None else path.stat()
    except OSError:
        found = None
    return [digest(text), 0, 0] if found is None else [digest(text), found.st_size, found.st_mtime_ns]


def _opened(
    batch: pa.RecordBatch, paths: list[str], schema: pa.Schema, beside: Beside, missing: frozenset[str]
) -> Iterator[pa.RecordBatch]:
    """The batch in pieces that hold no more bytes than a lot may."""
    texts = {name: null_missing(pc.utf8_trim_whitespace(batch.column(name)), missing).to_pylist() for name in paths}
    start, held = 0, 0
    files: dict[str, list[bytes | None]] = {name: [] for name in paths}
    for row in range(len(batch)):
        for name in paths:
            data = _file(beside, texts[name][row], missing)
            files[name].append(data)
            held += len(data or b"")
        if held >= LOT_BYTES or row + 1 - start >= LOT_ROWS or row + 1 == len(batch):
            piece = batch.slice(start, row + 1 - start)
            made = {name: cells(texts[name][start : row + 1], files[name]) for name in paths}
            columns = [made.get(field.name, piece.column(i)) for i, field in enumerate(schema)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
            start, held, files = row + 1, 0, {name: [] for name in paths}


def _file(beside: Beside, text: str | None, missing: frozenset[str]) -> bytes | None:
    if text is None:
        return None
    if is_picture(text[-16:]):
        return beside.read(text)
    try:
        return file_of(text, missing, _LARGEST_TEXT) if len(text) > LONGEST or text.startswith("data:") else None
    except Unfit:
        return None
