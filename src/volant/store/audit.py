"""The audit trail: everything that changes what a product does, and who did it. Rows are only ever added.

Each row carries a digest of itself and of the one before it, so that a row that was changed or taken out shows.
"""

from __future__ import annotations

import getpass
import hashlib
import socket
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, select

from volant.core.ids import canonical_json
from volant.store import tables
from volant.store.part import Part, fields
from volant.store.records import AuditRow

_table = tables.audit
START = "0" * 64


@cache
def this_user() -> str:
    """Who uses this process, as the system knows them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


class Audit(Part):
    """What changed, in its order."""

    def audit_trail(self) -> list[AuditRow]:
        """All rows, oldest first."""
        with self._database.read() as connection:
            return [AuditRow(**fields(row)) for row in connection.execute(select(_table).order_by(_table.c.seq))]

    def note(self, action: str, subject: str, facts: Mapping[str, Any] | None = None) -> None:
        """Record a change that has no transaction of its own."""
        with self._database.write() as connection:
            self._note(connection, action, subject, facts or {})

    def _note(self, connection: Connection, action: str, subject: str, facts: Mapping[str, Any]) -> None:
        """Record a change in the transaction that makes it."""
        before = connection.execute(select(_table.c.chain).order_by(_table.c.seq.desc()).limit(1)).scalar()
        given = {"at": self._now(), "actor": self.actor or this_user(), "action": action, "subject": subject}
        values = {**given, "facts": tables.as_stored(dict(facts))}
        connection.execute(_table.insert().values({**values, "chain": link(before or START, values)}))


def link(before: str, values: Mapping[str, Any]) -> str:
    """The digest of a row and of all before it."""
    said = [values[name] for name in ("at", "actor", "action", "subject", "facts")]
    return hashlib.sha256(before.encode() + canonical_json(said)).hexdigest()


def first_break(rows: Iterable[AuditRow]) -> int | None:
    """The number of the first row that does not fit to those before it, or None."""
    before = START
    for row in rows:
        if link(before, row.record()) != row.chain:
            return row.seq
        before = row.chain
    return None
