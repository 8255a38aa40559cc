"""Named locks between processes, released by the operating system when the holder dies."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import func, select, text

from volant.core.progress import Progress, Silent
from volant.errors import Refused
from volant.store import disk, flock
from volant.store.database import Database, advisory_key
from volant.store.part import Part

_POLL = 0.05
_PROBE = 0.2
"""Whoever asks who holds a lock takes it for a moment: a lock is busy only when it stays so for longer."""

_HOLDER = text(
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND ((l.classid::bigint << 32) | l.objid::bigint)"
    " = hashtextextended(concat(current_schema(), ':volant:', CAST(:name AS text)), 0)"
)


class Locks(Part):
    """Locks that keep two processes from doing the same thing to a product at once."""

    @contextmanager
    def lock(self, name: str, wait: float | None = None, progress: Progress | None = None) -> Iterator[None]:
        """Hold the lock `name` within the block; wait for it at most `wait` seconds, or for ever.

        Raises:
            Refused: code `busy`, naming the process that holds it, and since when.
        """
        path = self._path(name)
        patience = _Patience(name, wait, progress or Silent())
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while not flock.try_take(descriptor):
                patience.spend(lambda: _holder_in_file(path))
            signature = {"pid": os.getpid(), "host": socket.gethostname(), "since": self._now()}
            with _database_lock(self._database, name, signature, patience):
                _sign(descriptor, signature)
                yield
        finally:
            os.close(descriptor)

    def lock_holder(self, name: str) -> str | None:
        """Who holds the lock, and since when; None where nobody does."""
        path = self._path(name)
        if flock.is_held(path):
            return _holder_in_file(path)
        return _holder_in_database(self._database, name) if self._database.postgres else None

    def _path(self, name: str) -> Path:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
            raise ValueError(f"{name!r} is no name for a lock")
        return self.home / "locks" / f"{name}.lock"


class _Patience:
    """Waiting for a lock until a deadline, and saying so once."""

    def __init__(self, name: str, wait: float | None, progress: Progress) -> None:
        self._name = name
        self._deadline = float("inf") if wait is None else time.monotonic() + max(wait, _PROBE)
        self._told_after = time.monotonic() + _PROBE
        self._progress = progress
        self._told = False

    def spend(self, holder: Callable[[], str]) -> None:
        """Wait a little more, or refuse to."""
        now = time.monotonic()
        if now >= self._deadline:
            raise Refused(
                f"another volant is busy with {self._name}",
                code="busy",
                where=self._name,
                got=holder(),
                fix="wait until it is done, or stop it",
            )
        if not self._told and now >= self._told_after:
            self._progress.say(f"waiting for {holder()}, which is busy with {self._name}")
            self._told = True
        time.sleep(_POLL)


def _sign(descriptor: int, signature: dict[str, object]) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    disk.write_all(descriptor, json.dumps(signature).encode())


def _holder_in_file(path: Path) -> str:
    try:
        signed = json.loads(path.read_text())
        return f"process {signed['pid']} on {signed['host']} since {signed['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not signed yet"


@contextmanager
def _advisory(database: Database, name: str, signature: dict[str, object], patience: _Patience) -> Iterator[None]:
    """The lock in PostgreSQL, held by a connection of its own: it reaches other machines."""
    key = advisory_key(name)
    signed = f"{signature['pid']} {signature['since']} {signature['host']}"[:63]
    with database.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        while not connection.execute(select(func.pg_try_advisory_lock(key))).scalar():
            patience.spend(lambda: _holder_in_database(database, name) or "a process on another machine")
        connection.execute(select(func.set_config("application_name", signed, False)))
        try:
            yield
        finally:
            connection.execute(select(func.pg_advisory_unlock(key), func.set_config("application_name", "", False)))


def _database_lock(
    database: Database, name: str, signature: dict[str, object], patience: _Patience
) -> AbstractContextManager[None]:
    return _advisory(database, name, signature, patience) if database.postgres else nullcontext()


def _holder_in_database(database: Database, name: str) -> str | None:
    with database.read() as connection:
        signed = connection.execute(_HOLDER, {"name": name}).scalar()
    if signed is None:
        return None
    pid, since, host = [*signed.split(" "), "", ""][:3]
    return f"process {pid} on {host} since {since}"
