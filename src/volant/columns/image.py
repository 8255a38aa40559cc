"""Pictures: the bytes of their files, whatever format they have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from volant.columns import cells
from volant.columns.media import Unfit, file_of
from volant.columns.missing import TOKENS
from volant.columns.pictures import ENDINGS, MOST_BYTES, MOST_PIXELS, format_of, media_type
from volant.columns.pixels import examine
from volant.core.clock import Machine
from volant.core.protocols import Parsed, Recognition

_ENOUGH = 0.9
_SHOWN = 200
_MANY = 64
"""Cells from which on they are looked at by several threads."""

_IN_BASE64 = r"^\s*(?:data:image/|iVBORw0KGgo|/9j/|R0lGOD|UklGR|SUkqA|TU0AK)"


@dataclass(frozen=True)
class Image:
    """Pictures. The canonical value is the bytes of the file; it was decoded once, so it can be."""

    missing: frozenset[str] = field(default=TOKENS, repr=False)
    most_bytes: int = MOST_BYTES
    most_pixels: int = MOST_PIXELS
    name = "image"
    summary = "pictures, as the bytes of their files"
    storage = pa.large_binary()
    endings = ENDINGS

    def recognise(self, name: str, values: pa.Array) -> Recognition:
        del name
        array = _evenly(cells.simple(values), _SHOWN)
        if pa.types.is_string(array.type):
            found = pc.sum(pc.match_substring_regex(array, _IN_BASE64).cast(pa.int64())).as_py() or 0
        elif _holds_bytes(array.type):
            files = [cell.get("bytes") if isinstance(cell, dict) else cell for cell in array.to_pylist()]
            known = [data for data in files if data is not None]
            found, array = sum(format_of(data) is not None for data in known), known
        else:
            return Recognition(0.0, "the cells are no bytes")
        share = found / max(len(array), 1)
        reason = f"{found:,} of {len(array):,} cells that were looked at begin like pictures"
        return Recognition(0.99 if share >= _ENOUGH else 0.0, reason)

    def parse_cell(self, cell: Any) -> bytes | None:
        """One raw cell (bytes, base64, a `data:` URL) to the bytes of a picture that can be decoded.

        Raises:
            Unfit: it cannot be read as a picture; `code` tells a wrong kind of file and one that is too large.
        """
        data = file_of(cell, self.missing, self.most_bytes)
        if data is not None:
            examine(data, self.most_pixels)
        return data

    def parse(self, raw: pa.Array | pa.ChunkedArray) -> Parsed:
        """Whole Arrow arrays, several cells at a time."""
        found = cells.listed(cells.simple(raw))
        threads = min(4, Machine.here().cores)
        if len(found) < _MANY or threads < 2:
            read = [self._read(cell) for cell in found]
        else:
            with ThreadPoolExecutor(threads) as pool:
                read = list(pool.map(self._read, found, chunksize=16))
        unreadable = np.array([place for place, (_, fine) in enumerate(read) if not fine], dtype=np.int64)
        return Parsed(pa.array([value for value, _ in read], type=self.storage), unreadable)

    def _read(self, cell: Any) -> tuple[bytes | None, bool]:
        try:
            return self.parse_cell(cell), True
        except ValueError:
            return None, False

    def media_type(self, data: bytes) -> str | None:
        """The media type that the first bytes of a file tell, or None."""
        return media_type(data)

    def to_numpy(self, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Objects, shape (n,): bytes, or None where missing."""
        return cells.objects(values)

    def json_schema(self) -> dict[str, Any]:
        says = "the bytes of a picture (PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF or PNM) in base64, or a data: URL"
        return {"type": ["string", "null"], "contentEncoding": "base64", "description": says}


def _evenly(array: pa.Array, most: int) -> pa.Array:
    if len(array) <= most:
        return array
    return array.take(pa.array(np.linspace(0, len(array) - 1, most).astype(np.int64)))


def _holds_bytes(kind: pa.DataType) -> bool:
    """Bytes, or objects of bytes and path."""
    if pa.types.is_struct(kind):
        names = {kind.field(i).name for i in range(kind.num_fields)}
        return "bytes" in names and names <= {"bytes", "path"}
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return bool(binary or kind == pa.binary_view())


__all__ = ["Image", "Unfit"]
