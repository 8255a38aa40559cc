"""Databases: one query, read once into a temporary file, so that all of a stage sees the same rows."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path

from volant.bind.sql import DriverMissing, QueryFailed, run, shown
from volant.core.ids import digest
from volant.core.progress import Progress
from volant.data.sources.source import Source, repaired_names
from volant.data.sources.spill import ROWS, Spill
from volant.errors import BadInput


def open_database(
    url: str, query: str | None, *, folder: Path, missing: Collection[str] | None, progress: Progress
) -> Source:
    """Run a query and keep its rows. Nothing can be written through the connection.

    Raises:
        BadInput: codes `source-sql`, `extra-missing` and `source-empty`.
    """
    try:
        place = shown(url)
        if query is None:
            raise _failed(
                "a database needs a query", place, "give data.query (or --query), for example SELECT * FROM t"
            )
        return _read(url, query, place, folder, missing, progress)
    except QueryFailed as cause:
        fix = "check the URL, the query and that the database is running"
        raise _failed(f"the database cannot be read: {cause}", "data.source", fix) from None
    except DriverMissing as cause:
        fix = f'pip install "volant[{cause.extra}]"'
        raise BadInput(
            "the driver of the database is not installed", code="extra-missing", where=place, fix=fix
        ) from None


def _read(
    url: str, query: str, place: str, folder: Path, missing: Collection[str] | None, progress: Progress
) -> Source:
    progress.stage(f"read {place}")
    rows = run(url, query, folder)
    names, notes = repaired_names([str(name) for name in next(rows)])
    spill = Spill()
    while chunk := list(islice(rows, ROWS)):
        spill.add({str(place): cells for place, cells in enumerate(zip(*chunk, strict=True))}, len(chunk))
        progress.advance(spill.rows, f"{spill.rows:,} rows")
    return spill.source(
        place,
        lambda: digest([place, query, spill.fingerprint]),
        {"format": "sql", **notes},
        missing=missing,
        names={str(place): name for place, name in enumerate(names)},
    )


def _failed(what: str, where: str, fix: str) -> BadInput:
    return BadInput(what, code="source-sql", where=where, fix=fix)
