"""Excel workbooks: the first sheet, or the one that `file.xlsx#sheet` names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from volant.bind.excel import NoSheet, NoWorkbook, rows
from volant.core.ids import digest, file_digest
from volant.core.progress import Progress
from volant.data.sources.place import File
from volant.data.sources.source import Source, no_rows, repaired_names, unreadable
from volant.data.sources.spill import ROWS, Spill
from volant.errors import BadInput


def open_excel(file: File, *, missing: Collection[str] | None, progress: Progress) -> Source:
    """Read a sheet. Its first row that is not empty names the columns; empty rows are left out.

    Raises:
        BadInput: codes `source-unreadable`, `source-missing` (no such sheet) and `source-empty`.
    """
    try:
        return _read(file, missing, progress)
    except NoWorkbook as cause:
        fix = "open it in a spreadsheet program and save it again as .xlsx"
        raise unreadable("the workbook cannot be read", file.location, got=str(cause), fix=fix) from None
    except NoSheet as cause:
        raise BadInput(
            "there is no such sheet",
            code="source-missing",
            where=file.path.name,
            got=file.sheet,
            choices=cause.names,
            fix=f"name one of its sheets: {file.path.name}#NAME",
        ) from None


def _read(file: File, missing: Collection[str] | None, progress: Progress) -> Source:
    progress.stage(f"read {file.location}")
    filled = (row for row in rows(file.path, file.sheet) if any(cell is not None for cell in row))
    header = next(filled, None)
    if header is None:
        raise no_rows(file.location, "the sheet is empty")
    spill, used = Spill(), [cell is not None for cell in header]
    for chunk in _chunks(filled):
        used += [False] * (max(map(len, chunk)) - len(used))
        columns = {
            str(place): [row[place] if place < len(row) else None for row in chunk] for place in range(len(used))
        }
        used = [known or any(c is not None for c in columns[str(place)]) for place, known in enumerate(used)]
        spill.add(columns, len(chunk))
        progress.advance(spill.rows, f"{file.location}: {spill.rows:,} rows")
    wanted = [place for place, known in enumerate(used) if known]
    names, notes = repaired_names([_name(header, place) for place in wanted])
    hashed = file_digest(file.path)
    return spill.source(
        file.location,
        lambda: digest([hashed, file.sheet]) if file.sheet else hashed,
        {"format": "excel", "sheet": file.sheet, **notes},
        missing=missing,
        names={str(place): name for place, name in zip(wanted, names, strict=True)},
    )


def _chunks(filled: Iterator[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    while chunk := list(islice(filled, ROWS)):
        yield chunk


def _name(header: Sequence[Any], place: int) -> str:
    return "" if place >= len(header) or header[place] is None else str(header[place])
