"""Locks of the operating system on files: they end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def take(descriptor: int) -> None:
    """Wait until this open file is locked by us alone."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def release(descriptor: int) -> None:
    """Let others have this open file."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def try_take(descriptor: int) -> bool:
    """Lock this open file if nobody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def claim(path: Path) -> int | None:
    """Open and lock the file or folder at `path`; None where another process holds it, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if try_take(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Whether some process holds a lock on the file at `path`."""
    descriptor = claim(path)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None and path.exists()


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Keep the file at `path` together with others who do; whoever takes a turn at it waits for all of them."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """Wait for our turn at the file at `path`, which is made where it is missing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        take(descriptor)
        yield
    finally:
        os.close(descriptor)
