"""Where a source lies: environment variables filled in, a URL or a path, and the format that its name tells."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from volant.errors import BadInput

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".zip": "photos",
}
"""Formats by the ending of the name. CSV and JSON may be compressed: `.csv.gz`."""

ZIPPED = ("csv", "json")
DATABASES = ("sqlite", "postgresql", "postgres")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MOST_CHOICES = 20


@dataclass(frozen=True)
class File:
    """A file of a known format; `sheet` names the sheet of a workbook."""

    path: Path
    format: str
    sheet: str | None = None

    @property
    def location(self) -> str:
        """How errors name it."""
        return self.path.name + (f"#{self.sheet}" if self.sheet else "")


def filled_in(source: str, environment: Mapping[str, str] | None = None) -> str:
    """`source` with `${NAME}` replaced by environment variables; those before the `@` of a URL are quoted for it.

    Raises:
        BadInput: code `source-missing`, when a variable is not set.
    """
    values = os.environ if environment is None else environment
    host = source.rfind("@") if "://" in source else -1

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in values:
            raise BadInput(
                f"the environment variable {name} is not set",
                code="source-missing",
                where="data.source",
                got=found[0],
                fix=f"set it before running volant: export {name}=…",
            )
        return quote(values[name], safe="") if found.start() < host else values[name]

    return _VARIABLE.sub(value, source)


def scheme_of(source: str) -> str | None:
    """The scheme of a URL, without its driver, or None for a path."""
    found = _URL.match(source)
    return found[1].lower().split("+")[0] if found else None


def find(source: str, folder: Path) -> File | Path:
    """The file, or the folder of files, that a path names.

    Raises:
        BadInput: codes `source-missing` and `source-format`.
    """
    text, _, sheet = source.partition("#")
    try:
        path = folder / Path(text).expanduser()
        if sheet and not path.exists() and (folder / source).exists():
            path, sheet = folder / source, ""
        is_file, is_folder = path.is_file(), path.is_dir() and text.strip() != ""
    except (OSError, ValueError, RuntimeError):
        path, is_file, is_folder = folder / "…", False, False
    if is_folder:
        return path
    if not is_file:
        raise _absent(path)
    kind = format_of(path)
    if kind is None:
        raise unknown_format(path)
    return File(path, kind, sheet or None)


def format_of(path: Path) -> str | None:
    """The format that a file's name tells, or None."""
    endings = [ending.lower() for ending in path.suffixes[-2:]]
    if endings[-1:] == [".gz"]:
        kind = FORMATS.get(endings[0]) if len(endings) == 2 else None
        return kind if kind in ZIPPED else None
    return FORMATS.get(endings[-1]) if endings else None


def unknown_format(path: Path) -> BadInput:
    """The error for a file whose name tells no format."""
    return BadInput(
        "the format of the data is not known",
        code="source-format",
        where=path.name,
        got=path.suffix or "a name without ending",
        choices=(*FORMATS, ".csv.gz", "a folder of these or of pictures", "sqlite:///…", "postgresql://…"),
        fix="save it in one of these formats, or give the file the ending of its format",
    )


def _absent(path: Path) -> BadInput:
    try:
        beside = sorted(other.name for other in path.parent.iterdir() if not other.name.startswith("."))
    except OSError:
        beside = []
    known = [name for name in beside if format_of(Path(name)) or (path.parent / name).is_dir()]
    fix = f"there are data files in {path.parent.name or path.parent}: choose one" if known else "check the path"
    return BadInput(
        "there is no such file or folder" if not path.exists() else "this is neither a file nor a folder",
        code="source-missing",
        where=str(path),
        got=path.name,
        choices=known[:_MOST_CHOICES],
        fix=fix,
    )
