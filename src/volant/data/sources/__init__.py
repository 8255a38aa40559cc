"""Sources of raw rows: files, folders of files, and databases, all read in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from volant.core.progress import Progress, Silent
from volant.data.sources.place import DATABASES, File, filled_in, find, scheme_of
from volant.data.sources.source import Source
from volant.errors import BadInput

__all__ = ["Source", "filled_in", "folder_of_files", "read_source"]


def read_source(
    source: str,
    *,
    folder: Path,
    query: str | None = None,
    missing: Collection[str] | None = None,
    progress: Progress | None = None,
    files: str | None = None,
) -> Source:
    """Open a source of raw rows.

    Args:
        source: a file, `workbook.xlsx#sheet`, a folder of files, a folder, an archive or a pattern of pictures, or
            the URL of a database; `${NAME}` takes an environment variable.
        folder: what relative paths are relative to.
        query: the SQL query, when `source` is the URL of a database.
        missing: cell texts that mean missing, instead of the usual ones.
        progress: told how far reading is.
        files: the folder that paths in cells are relative to, if not that of the table; relative to `folder`.

    Raises:
        BadInput: codes `source-missing`, `-format`, `-unreadable`, `-empty`, `-sql`; `column-missing` where the
            files of a folder differ.
    """
    told = progress if progress is not None else Silent()
    found = _read(filled_in(source), folder, query, missing, told)
    return found if files is None else replace(found, beside=folder_of_files(files, folder))


def folder_of_files(files: str, folder: Path) -> Path:
    """The folder that `data.files` names, relative to `folder`.

    Raises:
        BadInput: code `source-missing`.
    """
    place = (folder / Path(filled_in(files)).expanduser()).absolute()
    if not place.is_dir():
        fix = "name the folder that the paths in the table are relative to"
        raise BadInput("there is no such folder", code="source-missing", where="data.files", got=files, fix=fix)
    return place


def _read(text: str, folder: Path, query: str | None, missing: Collection[str] | None, told: Progress) -> Source:
    scheme = scheme_of(text)
    if scheme in DATABASES:
        from volant.data.sources.database import open_database

        return open_database(text, query, folder=folder, missing=missing, progress=told)
    if query is not None:
        raise BadInput(
            "a query is for a database, and the source is none",
            code="source-sql",
            where="data.query",
            choices=[f"{name}://" for name in DATABASES],
            fix="leave the query out, or give the URL of a database as the source",
        )
    if scheme is not None:
        raise BadInput(
            "this kind of URL cannot be read",
            code="source-format",
            where="data.source",
            got=f"{scheme}://",
            choices=[f"{name}://" for name in DATABASES],
            fix="download the file, and name its path",
        )
    if _is_pattern(text, folder):
        from volant.data.sources.photos import open_glob

        return open_glob(text, folder, told)
    place = find(text, folder)
    if isinstance(place, File):
        return _open_file(place, missing, told)
    from volant.data.sources.photos import holds_pictures, open_photos

    if holds_pictures(place):
        return open_photos(place, told)
    from volant.data.sources.folder import open_folder

    return open_folder(place, lambda file: _open_file(file, missing, told))


def _is_pattern(text: str, folder: Path) -> bool:
    return any(sign in text for sign in "*?[") and not (folder / text.partition("#")[0]).exists()


def _open_file(file: File, missing: Collection[str] | None, progress: Progress) -> Source:
    return replace(_opened(file, missing, progress), beside=file.path.absolute().parent)


def _opened(file: File, missing: Collection[str] | None, progress: Progress) -> Source:
    if file.format == "csv":
        from volant.data.sources.delimited import open_delimited

        return open_delimited(file.path, missing=missing, progress=progress)
    if file.format == "parquet":
        from volant.data.sources.parquet import open_parquet

        return open_parquet(file.path, missing=missing, progress=progress)
    if file.format == "json":
        from volant.data.sources.jsonlines import open_json

        return open_json(file.path, missing=missing, progress=progress)
    if file.format == "photos":
        from volant.data.sources.photos import open_zip

        return open_zip(file.path, progress)
    from volant.data.sources.excel import open_excel

    return open_excel(file, missing=missing, progress=progress)
