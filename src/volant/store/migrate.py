"""Bringing the tables of a store to the version that this volant works with."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from volant.errors import Failure
from volant.store.database import BUSY_SECONDS, SQLITE_FULL, Database, full_disk
from volant.store.tables import SCHEMAS

SCRIPTS = Path(__file__).parent / "migrations"


def bring_up_to_date(database: Database) -> None:
    """Create or migrate the tables. Processes that do it at once wait for each other.

    Raises:
        Failure: code `store-version`: the store is newer than this volant.
    """
    if not database.postgres:
        _turn_on_write_ahead_log(database)
    with database.read() as connection:
        if version(connection) == SCHEMAS[-1]:
            return
    with database.write() as connection:
        found = version(connection)
        if found not in (None, *SCHEMAS):
            raise Failure(
                "the store was written by a newer volant",
                code="store-version",
                got=f"schema {found}, newest known {SCHEMAS[-1]}",
                fix="upgrade volant",
            )
        if found != SCHEMAS[-1]:
            _upgrade(connection)


def version(connection: Connection) -> str | None:
    """The schema version of a store, None where it has no tables yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _turn_on_write_ahead_log(database: Database) -> None:
    """It stays on in the file. Nobody else may have the file open while it is turned on, so it is our turn."""
    path = str(database.engine.url.database)
    with database.turn(), contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as error:
            if error.sqlite_errorcode in SQLITE_FULL:
                raise full_disk() from error
            raise Failure(
                "the store cannot be opened",
                code="store-unavailable",
                where=path,
                got=error.sqlite_errorname,
                fix="see that the file is a store of volant and that this user may write to it",
            ) from error
