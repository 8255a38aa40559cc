"""Making writes durable, and telling a full disk from other troubles."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from volant.errors import Failure

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)  # macOS, where fsync leaves data in the drive's cache


def sync(descriptor: int) -> None:
    """Return when the data of an open file is on disk."""
    if _FULL_SYNC is not None:
        fcntl.fcntl(descriptor, _FULL_SYNC)
    else:
        os.fdatasync(descriptor)


def sync_path(path: Path) -> None:
    """Return when a file's content, or a folder's list of names, is on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Hand all of `data` to the operating system: one write, unless it takes only a part."""
    done = os.write(descriptor, data)
    while done < len(data):
        done += os.write(descriptor, memoryview(data)[done:])


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that the disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if isinstance(error, Exception) and "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def failure(error: BaseException, doing: str) -> Failure:
    """The failure that stands for an error of the operating system while `doing` something."""
    if is_full(error):
        return Failure(
            f"the disk is full: {doing} failed",
            code="store-full",
            fix="free space on the disk that holds the store, then try again",
        )
    name = errno.errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    return Failure(
        f"{doing} failed",
        code="store-failed",
        got=name or type(error).__name__,
        fix="see that the disk is healthy and that this user may write to it",
    )
