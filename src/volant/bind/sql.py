"""SQLAlchemy: the rows of one query, streamed over a connection that cannot write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_AT_ONCE = 4_096
_ABOUT_THE_QUERY = ("42", "3D", "3F", "28", "08", "25", "57")
"""Classes of SQLSTATE whose messages speak of the query or the connection, never of the data."""


class QueryFailed(Exception):
    """The database refused; the text names neither cells nor the password."""


class DriverMissing(Exception):
    """The driver for a database is not installed; `extra` is what to install."""

    def __init__(self, extra: str) -> None:
        super().__init__(extra)
        self.extra = extra


def shown(url: str) -> str:
    """The URL without its password.

    Raises:
        QueryFailed: it is not a URL of a database.
    """
    return str(_parsed(url).render_as_string(hide_password=True))


def run(url: str, query: str, folder: Path) -> Iterator[Sequence[Any]]:
    """The names of the columns, then every row, read through a cursor of the server a few thousand at a time.

    A relative path of an SQLite URL is relative to `folder`.

    Raises:
        QueryFailed: the connection or the query failed.
        DriverMissing: the driver is not installed.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    address = _for_reading(_parsed(url), folder)
    try:
        engine = create_engine(address, poolclass=NullPool)
    except ModuleNotFoundError:
        raise DriverMissing("postgres") from None
    except (ArgumentError, NoSuchModuleError):
        raise QueryFailed("the URL names no database that can be read") from None
    options: dict[str, Any] = {"stream_results": True, "yield_per": _AT_ONCE}
    if engine.dialect.name == "postgresql":
        options |= {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    try:
        with engine.connect().execution_options(**options) as connection:
            found = connection.execute(text(query.replace(":", "\\:")))
            if not found.returns_rows:
                raise QueryFailed("the query gives no rows: begin it with SELECT")
            yield list(found.keys())
            for row in found:
                yield tuple(row)
    except DBAPIError as cause:
        raise QueryFailed(_reason(cause.orig)) from None
    except SQLAlchemyError as cause:
        raise QueryFailed(type(cause).__name__) from None
    finally:
        engine.dispose()


def _parsed(url: str) -> Any:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise QueryFailed("this is not the URL of a database") from None


def _for_reading(address: Any, folder: Path) -> Any:
    if address.drivername in ("postgres", "postgresql"):
        return address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() != "sqlite":
        return address
    path = folder / (address.database or "")
    if not path.is_file():
        raise QueryFailed("there is no such database file")
    return address.set(database=f"file:{_quoted(path)}", query={"mode": "ro", "uri": "true"})


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))


def _reason(cause: Any) -> str:
    state = getattr(cause, "sqlstate", None)
    if state and not str(state).startswith(_ABOUT_THE_QUERY):
        return f"the database stopped with SQLSTATE {state}"
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(cause).__name__
