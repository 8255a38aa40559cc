"""Folders and archives of pictures: one row per file, its folder as the label."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from volant.columns.pictures import ENDINGS, MOST_BYTES
from volant.core.ids import digest
from volant.core.progress import Progress
from volant.data.sources.place import format_of
from volant.data.sources.source import Hint, Source, no_rows, unreadable
from volant.errors import BadInput

IMAGE, LABEL, FILE, PART = "image", "label", "file", "part"
"""The columns of such a source."""

LOT_BYTES = 64_000_000
LOT_ROWS = 4_096
SHOWN = 64
"""Pictures that are looked at before the columns' types are known."""

MOST_FILES = 10_000_000
PARTS = frozenset(["train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"])
"""Folders of these names part the data, and the folders in them are the classes."""

CELL = pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])
_NOT_SHOWN = 20


@dataclass(frozen=True)
class Photo:
    """One file: its path below the root, with `/`; and its size and time, which tell a changed one."""

    path: str
    size: int
    time: int

    @property
    def folders(self) -> tuple[str, ...]:
        return PurePosixPath(self.name).parts[:-1]

    @property
    def name(self) -> str:
        """The path as text: bytes that are none, in names that other systems wrote, as escapes."""
        return readable(self.path)


@dataclass(frozen=True)
class Album:
    """All pictures below a root, in the order of their paths, and how the bytes of one are read."""

    name: str
    photos: tuple[Photo, ...]
    others: tuple[str, ...]
    read: Callable[[Photo], bytes | None]

    @property
    def depth(self) -> int:
        """Which folder is the label: the first one, or the one below `train`, `test` and the like."""
        first = {photo.folders[0].lower() for photo in self.photos if photo.folders}
        deep = all(len(photo.folders) >= 2 for photo in self.photos)
        return 1 if first and deep and first <= PARTS else 0

    def source(self, progress: Progress) -> Source:
        """The pictures as a source.

        Raises:
            BadInput: code `source-empty`.
        """
        if not self.photos:
            raise no_rows(self.name, "there are no pictures in it")
        labelled = any(photo.folders for photo in self.photos)
        names = [IMAGE, *([LABEL] if labelled else []), *([PART] if self.depth else []), FILE]
        schema = pa.schema([(name, CELL if name == IMAGE else pa.string()) for name in names])
        notes: dict[str, Any] = {"format": "photos", "files": len(self.photos)}
        if self.others:
            notes["left_out"] = [*self.others[:_NOT_SHOWN]]
            notes["left_out_count"] = len(self.others)

        def batches() -> Iterator[pa.RecordBatch]:
            progress.stage(f"read {self.name}", len(self.photos))
            for lot in lots(self.photos, lambda photo: photo.size):
                yield self._batch(lot, schema, range(len(lot)))
                progress.advance(len(lot))

        return Source(
            self.name,
            schema,
            batches,
            lambda: digest([[photo.name, photo.size, photo.time] for photo in self.photos]),
            notes,
            hints=_HINTS,
            shown=lambda: pa.Table.from_batches([self._sample(schema)]),
            answer=LABEL if labelled else None,
        )

    def _sample(self, schema: pa.Schema) -> pa.RecordBatch:
        """All rows, with the bytes of a few pictures."""
        places = np.linspace(0, len(self.photos) - 1, min(SHOWN, len(self.photos))).astype(np.int64)
        return self._batch(self.photos, schema, {int(place) for place in places})

    def _batch(self, photos: Sequence[Photo], schema: pa.Schema, wanted: Any) -> pa.RecordBatch:
        depth = self.depth

        def labels() -> list[str | None]:
            return [photo.folders[depth] if len(photo.folders) > depth else None for photo in photos]

        def images() -> pa.Array:
            files = [self.read(photo) if place in wanted else None for place, photo in enumerate(photos)]
            return cells([photo.name for photo in photos], files)

        columns: dict[str, Callable[[], pa.Array]] = {
            IMAGE: images,
            LABEL: lambda: pa.array(labels(), pa.string()),
            PART: lambda: pa.array([photo.folders[0] for photo in photos], pa.string()),
            FILE: lambda: pa.array([photo.name for photo in photos], pa.string()),
        }
        return pa.RecordBatch.from_arrays([columns[name]() for name in schema.names], schema=schema)


_HINTS = {
    IMAGE: Hint("image", "input", "the files"),
    LABEL: Hint("category", "input", "the folder that the picture lies in"),
    PART: Hint("category", "ignored", "the folder that parts the data; volant parts it by its own rules"),
    FILE: Hint("id", "ignored", "the path of the picture"),
}


def cells(paths: Sequence[str | None], files: Sequence[bytes | None]) -> pa.Array:
    """Raw cells of files: their bytes where they could be read, and their paths; null where there is no path."""
    gone = np.array([path is None for path in paths], dtype=bool)
    inner = [pa.array(list(files), pa.large_binary()), pa.array(list(paths), pa.string())]
    return pa.StructArray.from_arrays(inner, fields=list(CELL), mask=pa.array(gone))


def lots(items: Sequence[Any], size: Callable[[Any], int]) -> Iterator[list[Any]]:
    """Items in lots that hold no more than so many bytes, or one item."""
    lot: list[Any] = []
    held = 0
    for item in items:
        if lot and (held + size(item) > LOT_BYTES or len(lot) >= LOT_ROWS):
            yield lot
            lot, held = [], 0
        lot.append(item)
        held += size(item)
    if lot:
        yield lot


def readable(name: str) -> str:
    """A name of the file system as text that can be written down; bytes that are no text as escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def is_picture(name: str) -> bool:
    """Whether a file's name ends like that of a picture."""
    return os.path.splitext(name)[1].lower() in ENDINGS  # noqa: PTH122 - called for every file of large folders


def read_file(path: Path) -> bytes | None:
    """The bytes of a plain file of a size that pictures may have, or None."""
    try:
        found = path.stat()
        return path.read_bytes() if stat.S_ISREG(found.st_mode) and found.st_size <= MOST_BYTES else None
    except (OSError, ValueError):
        return None


def holds_pictures(folder: Path) -> bool:
    """Whether a folder is one of pictures: it has some, in it or below, and no table beside them."""
    try:
        beside = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "_"))]
    except OSError:
        return False
    if any(format_of(path) and path.suffix.lower() != ".txt" for path in beside):
        return False
    return next(_walk(folder), None) is not None


def _walk(folder: Path) -> Iterator[Path]:
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "__")))
        yield from (Path(place, name) for name in sorted(names) if is_picture(name) and not name.startswith("."))


def open_photos(folder: Path, progress: Progress) -> Source:
    """Open a folder of pictures, or of folders of pictures whose names are the classes.

    Raises:
        BadInput: code `source-empty`.
    """
    others = sorted(path.name for path in folder.iterdir() if path.is_file() and not is_picture(path.name))
    return album(
        folder, list(_walk(folder)), folder.name, [name for name in others if not name.startswith(".")]
    ).source(progress)


def open_glob(pattern: str, folder: Path, progress: Progress) -> Source:
    """Open the pictures that a pattern matches (`photos/*/*.jpg`, `**` for any depth), labelled by their folders.

    Raises:
        BadInput: codes `source-missing`, `source-empty`.
    """
    parts = Path(pattern).expanduser().parts
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    root = folder / Path(*parts[:fixed]) if fixed else folder
    try:
        found = sorted(path for path in root.glob(str(Path(*parts[fixed:]))) if path.is_file())
    except (OSError, ValueError, NotImplementedError, IndexError):
        found = []
    pictures = [path for path in found if is_picture(path.name)]
    if not pictures:
        fix = "check the pattern; it is matched from the folder of the product file"
        raise BadInput(
            "no picture matches the pattern", code="source-missing", where="data.source", got=pattern, fix=fix
        )
    return album(root, pictures, pattern, [path.name for path in found if not is_picture(path.name)]).source(progress)


def album(root: Path, paths: Sequence[Path], name: str, others: Sequence[str]) -> Album:
    """The album of files below `root`."""
    photos = []
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        photos.append(Photo(path.relative_to(root).as_posix(), found.st_size, found.st_mtime_ns))
    return Album(name, tuple(photos), tuple(map(readable, others)), lambda photo: read_file(root / photo.path))


def open_zip(path: Path, progress: Progress) -> Source:
    """Open an archive of pictures. Nothing is unpacked to disk, and no entry may be larger than a picture may be.

    Raises:
        BadInput: codes `source-unreadable`, `source-empty`.
    """
    try:
        archive = zipfile.ZipFile(path)
        entries = archive.infolist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as cause:
        fix = "write it again"
        raise unreadable("the archive is damaged", path.name, got=type(cause).__name__, fix=fix) from None
    if len(entries) > MOST_FILES:
        raise unreadable(f"the archive has more than {MOST_FILES:,} entries", path.name, fix="unpack it yourself")
    plain = [e for e in entries if not e.is_dir() and not _hidden(e.filename)]
    by_name = {_inside(e.filename): e for e in plain if is_picture(e.filename)}
    names = _without_common_folder(sorted(by_name))
    photos = tuple(Photo(shown, by_name[name].file_size, by_name[name].CRC) for name, shown in names.items())
    entry_of = {shown: by_name[name] for name, shown in names.items()}

    def read(photo: Photo) -> bytes | None:
        entry = entry_of[photo.path]
        if entry.file_size > MOST_BYTES:
            return None
        try:
            with archive.open(entry) as stream:  # the header may lie about the size
                data = stream.read(MOST_BYTES + 1)
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError):
            return None
        return data if len(data) <= MOST_BYTES else None

    others = tuple(sorted(e.filename for e in plain if not is_picture(e.filename)))
    return Album(path.name, photos, others, read).source(progress)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__")) for part in PurePosixPath(name).parts)


def _inside(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).as_posix().lstrip("/")


def _without_common_folder(names: Sequence[str]) -> dict[str, str]:
    """Names without the one folder that everything lies in, as archives of a folder have it."""
    first = {PurePosixPath(name).parts[0] for name in names}
    deep = all(len(PurePosixPath(name).parts) > 2 for name in names)
    cut = 1 if len(first) == 1 and deep and not first <= PARTS else 0
    return {name: PurePosixPath(*PurePosixPath(name).parts[cut:]).as_posix() for name in names}
