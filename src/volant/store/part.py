"""What all parts of the store share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from volant.core.clock import Clock
from volant.store.database import Database


class Part:
    """A part of the store: methods over one database, one folder and one clock."""

    def __init__(self, home: Path, database: Database, clock: Clock) -> None:
        self.home = home
        self._database = database
        self._clock = clock
        self.actor: str | None = None
        """Who acts through this store, for the audit trail; None is the user of this process."""

    def _now(self) -> str:
        return iso(self._clock.now())


def iso(moment: datetime) -> str:
    """A time as ISO 8601 in UTC with microseconds, so that texts sort as times do.

    >>> iso(datetime(2026, 1, 2, 3, 4, 5))
    '2026-01-02T03:04:05.000000+00:00'
    """
    if moment.tzinfo is UTC:  # what clocks give
        return moment.isoformat(timespec="microseconds")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="microseconds")


def fields(row: Row[Any], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """A row as keyword arguments."""
    return {name: value for name, value in row._mapping.items() if name not in without}
