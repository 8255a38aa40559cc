"""Predict: a file of rows in, a file of answers out, by the champion's runtime."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from volant.columns.media import is_media
from volant.core.records import Field
from volant.data.sources import Source, folder_of_files, read_source
from volant.data.sources.beside import with_files
from volant.data.sources.photos import FILE, IMAGE
from volant.errors import BadInput, Trouble, nearest
from volant.runtime.load import Release
from volant.runtime.rows import answers, type_of
from volant.store.disk import is_full
from volant.wheel.context import Context
from volant.wheel.history import champion_release, no_release
from volant.wheel.results import PredictResult


def need_champion(context: Context) -> Release:
    """The deployed release.

    Raises:
        BadInput: code `no-release`.
    """
    release = champion_release(context)
    if release is None:
        raise no_release(context)
    return release


def predict(context: Context, input_: Path, output: Path) -> PredictResult:
    """Answer every row of a file, or every picture of a folder, in its order; the output appears whole or not at all.

    Answers for a folder of pictures begin with the column `file`.

    Raises:
        BadInput: codes `no-release`, `source-…`, `input-invalid`.
    """
    started = time.monotonic()
    release = need_champion(context)
    write = writer_of(output)
    _refuse_same(input_, output)
    source = _source(context, input_, release)
    _need_columns(source.names, release)
    rows = 0
    context.progress.stage("predict")
    with whole_file(output) as stream:
        sink = write(stream)
        for chunk in source.chunks():
            sink.add(_answer(chunk, release, rows))
            rows += len(chunk)
            context.progress.advance(rows, f"{rows:,} rows")
        sink.close()
    return PredictResult(rows, output, release.digest, round(time.monotonic() - started, 3))


def _source(context: Context, input_: Path, release: Release) -> Source:
    """The rows of a file with the files that they name; pictures of a folder under the name that the release knows."""
    source = read_source(str(input_), folder=Path.cwd(), missing=release.signature.missing)
    if (files := context.product.file.data.files) is not None and source.beside is not None:
        source = replace(source, beside=folder_of_files(files, context.product.folder))
    media = [field.name for field in release.signature.inputs if is_media(field.type)]
    if source.notes.get("format") == "photos" and len(media) == 1 and media[0] not in source.names:
        return source.renamed({IMAGE: media[0]})
    return with_files(source, media)


def _refuse_same(input_: Path, output: Path) -> None:
    if output.exists() and input_.exists() and output.samefile(input_):
        raise BadInput(
            "the output would replace the input", code="usage", where=str(output), fix="name another file as the output"
        )


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its name when all is written; nothing is left of it otherwise.

    Raises:
        BadInput: code `usage`: the file cannot be made there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        stream = temporary.open("wb")
    except OSError as cause:
        if is_full(cause):
            raise
        raise _unwritable(path, cause) from cause
    try:
        with stream:
            yield stream
        _take_name(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _take_name(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError as cause:
        raise _unwritable(path, cause) from cause


def _unwritable(path: Path, cause: OSError) -> BadInput:
    fix = "choose another place, or mend its permissions"
    got = type(cause).__name__
    return BadInput("the output cannot be written there", code="usage", where=str(path), got=got, fix=fix)


def _need_columns(names: Any, release: Release) -> None:
    missing = [f for f in release.signature.inputs if f.required and f.name not in names]
    if missing:
        troubles = [
            Trouble(f"the column {f.name!r} is missing", "the input file", meant=nearest(f.name, names))
            for f in missing
        ]
        raise BadInput("the input lacks columns that the release needs", code="input-invalid", troubles=troubles)


def _answer(chunk: pa.RecordBatch, release: Release, before: int) -> pa.Table:
    batch = {f.name: _column(chunk, f, type_of(f, release.signature), before) for f in release.signature.inputs}
    outputs = release.predict(batch)
    known = FILE in chunk.schema.names and FILE not in batch and any(is_media(f.type) for f in release.signature.inputs)
    columns: dict[str, Any] = {FILE: chunk.column(FILE)} if known else {}
    if "probability" not in outputs:
        columns |= {name: outputs[name] for name in ("value", "low", "high") if name in outputs}
        return pa.table(columns)
    if release.signature.labels:
        answered = [json.dumps(one["labels"], ensure_ascii=False) for one in answers(outputs, release.signature)]
        columns["labels"] = pa.array(answered, type=pa.string())
    else:
        columns["label"] = pa.array(outputs["label"], type=pa.string())
    for place, name in enumerate(release.signature.options):
        columns[f"probability_{name}"] = outputs["probability"][:, place]
    return pa.table(columns)


def _column(chunk: pa.RecordBatch, field: Field, kind: Any, before: int) -> np.ndarray:
    if field.name not in chunk.schema.names:
        return np.asarray(kind.to_numpy(pa.nulls(len(chunk), kind.storage)))
    cells = chunk.column(field.name)
    parsed = kind.parse(cells)
    if len(parsed.unreadable):
        first = int(parsed.unreadable[0])
        path = cells[first].as_py()["path"] if pa.types.is_struct(cells.type) else None
        named = f"{path} (row {before + first})" if path else f"row {before + first}"
        raise BadInput(
            f"the column {field.name!r} holds cells that are no {field.type}",
            code="input-invalid",
            where=f"{named} and {len(parsed.unreadable) - 1} more of the input",
            fix="mend these cells, or leave them empty",
        )
    return np.asarray(kind.to_numpy(parsed.values))


class _Csv:
    """Tables into a stream as CSV; the first one gives the header."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.out: Any = None

    def open(self, schema: pa.Schema) -> Any:
        return pa.csv.CSVWriter(self.stream, schema)

    def add(self, table: pa.Table) -> None:
        self.out = self.out or self.open(table.schema)
        self.out.write_table(table)

    def close(self) -> None:
        if self.out is not None:
            self.out.close()


class _Parquet(_Csv):
    """The same as Parquet."""

    def open(self, schema: pa.Schema) -> Any:
        return pq.ParquetWriter(self.stream, schema)


class _Lines(_Csv):
    """The same as JSON Lines."""

    def add(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            self.stream.write(msgspec.json.encode(row) + b"\n")


FORMATS: dict[str, type[_Csv]] = {".csv": _Csv, ".parquet": _Parquet, ".jsonl": _Lines, ".ndjson": _Lines}


def writer_of(output: Path) -> Callable[[Any], _Csv]:
    """What writes tables to a file of that ending.

    Raises:
        BadInput: code `usage`: no such format, or no such folder.
    """
    if output.suffix not in FORMATS:
        raise BadInput(
            "the format of the output is told by its ending",
            code="usage",
            where=str(output),
            got=output.suffix or "no ending",
            choices=list(FORMATS),
        )
    if not output.parent.is_dir():
        raise BadInput(
            "the folder of the output does not exist", code="usage", where=str(output), fix="create it first"
        )
    return FORMATS[output.suffix]
