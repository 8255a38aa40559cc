"""Artifacts: folders and files that appear whole or not at all, and survive power loss once they are there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from volant.core.ids import uuid7
from volant.store import disk, flock

T = TypeVar("T")
PREFIX = ".unfinished-"


def commit_folder(build: Callable[[Path], T], final: Path) -> T:
    """Let `build` fill a new folder, then give it the name `final`. An existing folder of that name is kept.

    Raises:
        Failure: code `store-full`. Whatever goes wrong, nothing of it is left.
    """
    with staged_folder(final) as folder:
        return build(folder)


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """The same as a block that fills the folder it is given."""
    with full_disk_told(f"writing {final.name}"):
        final.parent.mkdir(parents=True, exist_ok=True)
        sweep(final.parent)
        folder, descriptor = locked_folder(final.parent)
        try:
            yield folder
            _sync_tree(folder)
            _rename(folder, final)
            disk.sync_path(final.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def write_file_atomic(path: Path, content: bytes) -> None:
    """Put `content` at `path`: readers see the old file or the new one, also after power loss.

    Raises:
        Failure: code `store-full`. The old file stays.
    """
    with full_disk_told(f"writing {path.name}"):
        fresh, descriptor = locked_file(path.parent)
        try:
            disk.write_all(descriptor, content)
            disk.sync(descriptor)
            fresh.replace(path)
            disk.sync_path(path.parent)
        finally:
            fresh.unlink(missing_ok=True)
            os.close(descriptor)


def sweep(parent: Path) -> None:
    """Delete what processes that died left unfinished in `parent`."""
    for path in parent.glob(f"{PREFIX}*"):
        descriptor = flock.claim(path)
        if descriptor is None:
            continue
        try:  # while it is claimed, nobody begins to work in it
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def locked_folder(parent: Path) -> tuple[Path, int]:
    """A new folder that is locked by this process for as long as its descriptor, given beside it, is open."""
    while True:
        folder = parent / f"{PREFIX}{uuid7()}"
        folder.mkdir()
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        flock.take(descriptor)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)  # swept away by another process before it was locked


def locked_file(parent: Path) -> tuple[Path, int]:
    """A new file that is locked by this process for as long as it works on it, and what holds the lock."""
    while True:
        path = parent / f"{PREFIX}{uuid7()}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        flock.take(descriptor)
        if path.exists():
            return path, descriptor
        os.close(descriptor)


def _rename(folder: Path, final: Path) -> None:
    try:
        folder.rename(final)
    except OSError:
        if not final.is_dir():
            raise


def _sync_tree(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            disk.sync_path(Path(place, name))
        disk.sync_path(Path(place))


@contextmanager
def full_disk_told(doing: str) -> Iterator[None]:
    """Whatever is raised because the disk is full becomes the failure `store-full`."""
    try:
        yield
    except Exception as error:
        if disk.is_full(error):
            raise disk.failure(error, doing) from error
        raise
