"""CSV and its relatives, streamed by Arrow with every cell as text."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from volant.core.progress import Progress, Silent
from volant.data.sources.dialect import Dialect, detect
from volant.data.sources.encoding import LONGEST_LINE, Survey, survey
from volant.data.sources.source import Source, no_rows, repaired_names, unreadable
from volant.data.sources.stream import Utf8Stream, reading
from volant.errors import Trouble

_HEAD = 256 * 1024
_FIRST_LINES = 3
_LONGEST_ROW = 4 * LONGEST_LINE
_MOST_PLACES = 5


@dataclass
class Delimited:
    """One delimited file whose encoding and dialect are known."""

    path: Path
    found: Survey
    dialect: Dialect
    names: tuple[str, ...]
    progress: Progress
    ragged: list[arrow_csv.InvalidRow] = field(default_factory=list)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(name, pa.string()) for name in self.names])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows below the header."""
        self.ragged.clear()
        last = None
        with reading(self.found, self.progress) as stream:
            for batch in self._parsed(stream):
                self._refuse_ragged()
                last = batch if len(batch) else last
                yield batch
            self._refuse_ragged()
            self._refuse_open_quote(last, stream)

    def _parsed(self, stream: Utf8Stream) -> Iterator[pa.RecordBatch]:
        try:
            yield from arrow_csv.open_csv(stream, self._reading(), self._parsing(), self._converting())
        except pa.ArrowInvalid as cause:
            if "straddling" not in str(cause):
                raise unreadable("the file cannot be parsed", self.path.name, fix="check it near its end") from None
            fix = "check that every quotation mark is closed"
            raise unreadable(f"a row is longer than {_LONGEST_ROW >> 20} MiB", self.path.name, fix=fix) from None

    def _reading(self) -> arrow_csv.ReadOptions:
        return arrow_csv.ReadOptions(
            column_names=list(self.names),
            skip_rows=self.dialect.skipped,
            skip_rows_after_names=int(self.dialect.header),
            block_size=_LONGEST_ROW,
            use_threads=False,
        )

    def _parsing(self) -> arrow_csv.ParseOptions:
        return arrow_csv.ParseOptions(
            delimiter=self.dialect.delimiter,
            quote_char=self.dialect.quote if self.found.quotes else False,
            escape_char=self.dialect.escape or False,
            newlines_in_values=self.found.quotes > 0,
            invalid_row_handler=self._skip,
        )

    def _converting(self) -> arrow_csv.ConvertOptions:
        types = {name: pa.string() for name in self.names}
        return arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=False, check_utf8=False)

    def _skip(self, row: arrow_csv.InvalidRow) -> str:
        self.ragged.append(row)
        return "skip"

    def _refuse_ragged(self) -> None:
        if not self.ragged:
            return
        expected, number = len(self.names), len(self.ragged)
        places = list(islice(self._ragged_lines(), min(number, _MOST_PLACES))) or [
            (f"row {row.number}", row.actual_columns) for row in self.ragged[:_MOST_PLACES]
        ]
        what = f"{number} {'row does' if number == 1 else 'rows do'} not have {expected} cells as the first row has"
        fix = f"give these rows {expected} cells; put quotation marks around cells that contain {self._delimiter()}"
        troubles = [
            Trouble(f"a row has {cells} cells, not {expected}", f"{self.path.name}, {place}", f"{cells} cells", fix=fix)
            for place, cells in places
        ]
        raise unreadable(what, self.path.name, fix=fix, places=troubles)

    def _delimiter(self) -> str:
        return {"\t": "a tab"}.get(self.dialect.delimiter, f"a {self.dialect.delimiter!r}")

    def _ragged_lines(self) -> Iterator[tuple[str, int]]:
        """The line on which each ragged row begins, and its cells: a second, slow and exact reading."""
        before = 0
        with reading(self.found, Silent()) as stream:
            reader = csv.reader(
                (line.decode() for line in io.BufferedReader(stream)),
                delimiter=self.dialect.delimiter,
                quotechar=self.dialect.quote,
                escapechar=self.dialect.escape,
            )
            try:
                for row in reader:
                    if row and len(row) != len(self.names) and before >= self.dialect.skipped:
                        yield f"line {before + 1}", len(row)
                    before = reader.line_num
            except csv.Error:
                return

    def _refuse_open_quote(self, last: pa.RecordBatch | None, stream: Utf8Stream) -> None:
        if last is None or stream.last == self.dialect.quote.encode():
            return
        inside = pc.count_substring(last.column(last.num_columns - 1).slice(len(last) - 1), "\n")[0].as_py() or 0
        if inside:
            line = max(self.found.lines - inside + 1, 1)
            fix = "close it, or double it if it is part of the text"
            raise unreadable("a quotation mark is never closed", f"{self.path.name}, line {line}", fix=fix)


def open_delimited(path: Path, *, missing: Collection[str] | None, progress: Progress) -> Source:
    """Open a CSV or TSV file, plain or gzipped.

    Raises:
        BadInput: codes `source-unreadable` and `source-empty`.
    """
    found = survey(path)
    head, whole = _head(found)
    dialect = detect(head, whole=whole, prefer="\t" if ".tsv" in path.suffixes or ".tab" in path.suffixes else None)
    if dialect is None:
        raise no_rows(path.name, "the file is empty")
    if dialect.alone and dialect.header:
        raise no_rows(path.name, "the file has names of columns but no rows")
    names, renamed = repaired_names(dialect.names)
    notes: dict[str, Any] = {"format": "csv", **found.notes(), **dialect.notes(), **renamed, "ragged_rows": 0}
    file = Delimited(path, found, dialect, names, progress)
    return Source(path.name, file.schema, file.batches, lambda: found.digest, notes, missing, found.damaged)


def _head(found: Survey) -> tuple[str, bool]:
    """The first lines, at least three of them, and whether that is all."""
    with reading(found, Silent()) as stream:
        head = stream.read(_HEAD)
        while head.count(b"\n") + head.count(b"\r") < _FIRST_LINES and (more := stream.read(_HEAD)):
            head += more
        whole = not stream.read(1)
    return codecs.getincrementaldecoder("utf-8")("replace").decode(head), whole
