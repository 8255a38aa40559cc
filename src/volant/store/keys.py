"""Keys of the service in the ledger, which holds what proves a key and never the key itself."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select, update

from volant.errors import BadInput
from volant.store import tables
from volant.store.audit import Audit
from volant.store.part import fields
from volant.store.records import ApiKeyRow

ROLES = ("predict", "feedback", "review", "admin")
"""What a key may be for. `review` may do what `feedback` may, and `admin` everything."""

IMPLIED = {"review": ("feedback",), "admin": ("predict", "feedback", "review")}
PERIODS = ("minute", "hour", "day", "month")
_ID_BYTES, _SECRET_BYTES, _SALT_BYTES = 6, 32, 16
_KEY = re.compile(r"volant_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_table = tables.api_key


@dataclass(frozen=True)
class Wanted:
    """What a key is to be: whose, for what, how much at most, and until when (ISO 8601; None is for ever)."""

    name: str
    roles: tuple[str, ...]
    rate: float | None = None
    burst: int | None = None
    quota: int | None = None
    period: str | None = None
    expires_at: str | None = None


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key, or None where the text is none."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def proof_of(secret: str, salt: str) -> str:
    """What the ledger keeps of a secret.

    A secret is 256 random bits, which nobody can guess at any speed, so it needs no hash that is slow or takes
    much memory: those make guessing dear where people choose. A keyed one is as safe and costs a microsecond.
    """
    return hashlib.blake2b(secret.encode(), key=bytes.fromhex(salt), digest_size=32).hexdigest()


def proves(secret: str, salt: str, hash: str) -> bool:
    """Whether a secret is the one that was kept, in a time that does not tell how much of it is right."""
    return hmac.compare_digest(proof_of(secret, salt), hash)


class Keys(Audit):
    """Who may use the service, and for what."""

    def create_api_key(self, wanted: Wanted, *, replaces: str | None = None) -> tuple[ApiKeyRow, str]:
        """A new key: its row, and the key itself, which is nowhere kept."""
        id, salt = secrets.token_hex(_ID_BYTES), secrets.token_hex(_SALT_BYTES)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        given = {**asdict(wanted), "id": id, "salt": salt, "hash": proof_of(secret, salt), "replaces": replaces}
        row = ApiKeyRow(created_at=self._now(), **given)
        with self._database.write() as connection:
            connection.execute(_table.insert().values({**asdict(row), "roles": list(row.roles)}))
            self._note(connection, "key.create", id, row.record())
        return row, f"volant_{id}_{secret}"

    def api_keys(self) -> list[ApiKeyRow]:
        """All keys, revoked and expired ones included, oldest first."""
        query = select(_table).order_by(_table.c.created_at, _table.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [ApiKeyRow(**{**fields(row), "roles": tuple(row.roles)}) for row in rows]

    def api_key(self, id: str) -> ApiKeyRow:
        """The key of that id.

        Raises:
            BadInput: code `key-unknown`.
        """
        known = {key.id: key for key in self.api_keys()}
        if id not in known:
            raise _unknown(id, list(known))
        return known[id]

    def end_api_key(self, id: str, at: str | None = None) -> ApiKeyRow:
        """Revoke a key now, or let it end at a time (ISO 8601, UTC); gives it as it is then.

        Raises:
            BadInput: code `key-unknown`: there is none, or it is revoked.
        """
        values = {"revoked_at": self._now()} if at is None else {"expires_at": at}
        action = "key.revoke" if at is None else "key.expire"
        with self._database.write() as connection:
            live = (_table.c.id == id) & _table.c.revoked_at.is_(None)
            if not connection.execute(update(_table).where(live).values(values)).rowcount:
                raise _unknown(id, list(connection.execute(select(_table.c.id)).scalars()))
            self._note(connection, action, id, values)
        return self.api_key(id)


def _unknown(id: str, known: Sequence[str]) -> BadInput:
    return BadInput(
        "there is no such key, or it is revoked",
        code="key-unknown",
        got=id[:64],
        choices=known,
        fix="`volant keys list` shows the keys",
    )
