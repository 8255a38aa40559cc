"""SQLite and PostgreSQL behind one door: transactions, one writer at a time, errors in our own words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from volant.errors import BadInput, Failure
from volant.store import flock

BUSY_SECONDS = 600.0
"""How long SQLite waits for another process. Our own lock makes it wait next to never."""

CONNECT_SECONDS = 10
SQLITE_FULL = (13, 4874)  # FULL, IOERR_SHMSIZE
_SQLITE_UNFLUSHED = (1034, 1290)  # IOERR_FSYNC, IOERR_DIR_FSYNC
_SQLITE_UNUSABLE = (8, 11, 14, 26)  # READONLY, CORRUPT, CANTOPEN, NOTADB

_POSTGRES_UNUSABLE = ("08", "25", "28", "3D", "42", "57")
"""Classes of SQLSTATE: connection, read-only, authorisation, no such database, access rights, shutdown."""


class Database:
    """An engine, and the rule that one transaction writes at a time.

    Rows are therefore numbered in the order in which they become visible. For SQLite the turn is a lock
    of the operating system (nobody polls, nobody sees "database is locked"), for PostgreSQL a lock in
    the database.
    """

    def __init__(self, engine: Engine, locks: Path) -> None:
        self.engine = engine
        self.postgres = engine.dialect.name == "postgresql"
        self._locks = locks
        self._mutex = threading.Lock()
        self._broken: Failure | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the store."""
        with self._translated(), self.engine.connect() as connection:
            if self.postgres:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes, alone. It is on disk when the block is left without an error."""
        with self._mutex, self.turn(), self._translated(), self.engine.connect() as plain:
            if self._broken is not None:
                raise self._broken.with_traceback(None)
            connection = plain.execution_options(begin="BEGIN IMMEDIATE")
            with connection.begin():
                if self.postgres:
                    connection.execute(select(func.pg_advisory_xact_lock(advisory_key("write"))))
                yield connection

    def turn(self) -> AbstractContextManager[None]:
        """Our turn among the processes that use this SQLite file; PostgreSQL takes turns inside."""
        return nullcontext() if self.postgres else flock.turn(self._locks / "write.lock")

    def insert_new(self, table: Table) -> Any:
        """An insert that leaves out rows whose key is there already."""
        from sqlalchemy.dialects import postgresql, sqlite

        kind = postgresql.insert if self.postgres else sqlite.insert
        return kind(table).on_conflict_do_nothing()

    def close(self) -> None:
        with self._mutex, self.turn():
            self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            failure, fatal = _failure(error)
            if fatal:  # what the system did with the pages is unknown: acknowledge nothing more
                self._broken = failure
            raise failure from None  # the original may quote cells


def advisory_key(name: str) -> Any:
    """The number of a named lock in PostgreSQL, of its own for each schema."""
    return func.hashtextextended(func.concat(func.current_schema(), ":volant:", name), 0)


def make_engine(home: Path, url: str | None) -> Engine:
    """An engine for SQLite in `home`, or for the PostgreSQL database at `url`. Connects to nothing yet.

    Raises:
        BadInput: codes `store-unavailable`, `extra-missing`.
    """
    if url is None:
        return _sqlite(home / "store.sqlite")
    return _postgres(_parsed(url))


def place(engine: Engine) -> str:
    """Where a database is, without user and password."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.get_backend_name()}://{url.host or ''}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def _parsed(url: str) -> URL:
    fix = 'write it as "postgresql://user:password@host:5432/database"'
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise BadInput(
            "the URL of the store is not a database URL", code="store-unavailable", where="store.url", fix=fix
        ) from None
    if backend not in ("postgresql", "postgres"):
        raise BadInput(
            "the store is kept in SQLite (without a URL) or in PostgreSQL",
            code="store-unavailable",
            where="store.url",
            got=backend,
            choices=("postgresql",),
            fix=fix,
        )
    return parsed.set(drivername="postgresql+psycopg")


def _sqlite(path: Path) -> Engine:
    url = URL.create("sqlite+pysqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, max_overflow=-1, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite` alone
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=1")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _postgres(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise BadInput(
            "a store in PostgreSQL needs its driver",
            code="extra-missing",
            where="store.url",
            fix="pip install 'volant[postgres]'",
        ) from None
    options = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
    engine = create_engine(url, connect_args=options, max_overflow=-1, pool_pre_ping=True, hide_parameters=True)
    event.listen(engine, "connect", _prepare_postgres)
    return engine


def _prepare_postgres(connection: Any, _record: Any) -> None:
    """A server that is set to acknowledge before it has flushed does so for others, not for the ledger."""
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


def _failure(error: DBAPIError) -> tuple[Failure, bool]:
    """The failure that stands for a database error, and whether nothing may be written after it."""
    original = error.orig
    code = getattr(original, "sqlite_errorcode", None)
    state = getattr(original, "sqlstate", None)
    got = getattr(original, "sqlite_errorname", None) or state or type(original).__name__
    if code in SQLITE_FULL or state == "53100":
        return full_disk(), False
    if code is None:
        unusable = error.connection_invalidated or (state or "08")[:2] in _POSTGRES_UNUSABLE
    else:
        unusable = code & 0xFF in _SQLITE_UNUSABLE
    if unusable:
        return Failure("the store cannot be opened", code="store-unavailable", got=got), False
    fix = "see that the disk is healthy, then start again"
    failed = Failure("the store could not make a write durable", code="store-failed", got=got, fix=fix)
    return failed, code in _SQLITE_UNFLUSHED


def full_disk() -> Failure:
    fix = "free space on the disk that holds the store, then try again"
    return Failure("the store cannot be written because the disk is full", code="store-full", fix=fix)
