"""openpyxl: the cells of a workbook's sheet, row by row."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_BYTES = 4 * 1024**3
"""Workbooks that unpack to more than this are refused."""


class NoWorkbook(Exception):
    """The file is no workbook, damaged, or unpacks to more than `MOST_BYTES`."""


class NoSheet(Exception):
    """The workbook has no such sheet; `names` are those it has."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__("there is no such sheet")
        self.names = names


def rows(path: Path, sheet: str | None) -> Iterator[tuple[Any, ...]]:
    """The rows of a sheet (the first one, if none is named): values as Python has them, errors as their text.

    Raises:
        NoWorkbook: the file cannot be read as a workbook.
        NoSheet: there is no sheet of that name.
    """
    import warnings

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(path) as packed:
            if sum(part.file_size for part in packed.infolist()) > MOST_BYTES:
                raise NoWorkbook("it unpacks to more than 4 GiB")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError, SyntaxError) as cause:
        raise NoWorkbook("it is damaged or not a workbook") from cause
    try:
        names = tuple(page.title for page in book.worksheets)
        if not names or (sheet is not None and sheet not in names):
            raise NoSheet(names)
        page = book[sheet] if sheet is not None else book.worksheets[0]
        page.reset_dimensions()
        yield from page.iter_rows(values_only=True)
    finally:
        book.close()
