"""Parquet, streamed by row group."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from volant.core.ids import file_digest
from volant.core.progress import Progress
from volant.data.sources.source import MOST_ROWS, Source, no_rows, repaired_names, unreadable

LOT_BYTES = 64_000_000
"""Bytes that rows which are read at a time may hold, about."""

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def open_parquet(path: Path, *, missing: Collection[str] | None, progress: Progress) -> Source:
    """Open a Parquet file. The unnamed index that pandas adds is left out; dictionaries are decoded.

    Raises:
        BadInput: codes `source-unreadable` and `source-empty`.
    """
    with _opened(path) as file:
        schema, rows, at_once = file.schema_arrow, file.metadata.num_rows, _at_once(file)
    if rows == 0:
        raise no_rows(path.name)
    places = [place for place, name in enumerate(schema.names) if not _PANDAS_INDEX.fullmatch(name)]
    kept = [schema.field(place) for place in places]
    names, notes = repaired_names([field.name for field in kept])
    fields = [pa.field(name, _decoded(field.type)) for name, field in zip(names, kept, strict=True)]
    wanted = pa.schema(fields)
    return Source(
        path.name,
        wanted,
        _batches(path, places, wanted, at_once, progress),
        lambda: file_digest(path),
        {"format": "parquet", **notes},
        missing,
    )


def _batches(
    path: Path, places: list[int], wanted: pa.Schema, at_once: int, progress: Progress
) -> Callable[[], Iterator[pa.RecordBatch]]:
    def read() -> Iterator[pa.RecordBatch]:
        done = 0
        with _opened(path) as file:
            progress.stage(f"read {path.name}", total=file.metadata.num_rows)
            for batch in file.iter_batches(batch_size=at_once):
                columns = [batch.column(place) for place in places]
                plain = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in columns]
                done += len(batch)
                progress.advance(done, f"{path.name}: {done:,} rows")
                yield pa.RecordBatch.from_arrays(plain, schema=wanted)

    return read


def _at_once(file: pq.ParquetFile) -> int:
    """Rows that are read at a time: fewer where they are large, as those with pictures are."""
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups) / max(file.metadata.num_rows, 1)
    return int(min(max(LOT_BYTES / max(size, 1.0), 1), MOST_ROWS))


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as cause:
        fix = "write the file again"
        raise unreadable("the Parquet file is damaged", path.name, got=type(cause).__name__, fix=fix) from None
