"""Keys of the service: who a request comes from, and whether they may do what they ask for."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from volant.core.clock import Clock
from volant.errors import BadInput
from volant.serve.http import Request
from volant.serve.limits import Limits
from volant.serve.problems import HttpError
from volant.store.keys import IMPLIED, ROLES, proves, split_key
from volant.store.records import ApiKeyRow

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NOBODY = ApiKeyRow("", "", (), "00" * 16, "00" * 32, "")


ANY = "any"
"""What takes a key, whatever it is for."""


@dataclass(frozen=True)
class Holder:
    """Whoever holds a key, and what it is good for."""

    key: ApiKeyRow
    roles: frozenset[str]

    @staticmethod
    def of(key: ApiKeyRow) -> Holder:
        """The holder of a key, with the roles that its roles imply."""
        return Holder(key, frozenset(role for own in key.roles for role in (own, *IMPLIED.get(own, ()))))


ANYONE = Holder(ApiKeyRow("", "anyone", ROLES, "", "", ""), frozenset(ROLES))
"""Who comes in where no key is asked for."""

_MASTER = Holder(ApiKeyRow("serve.key", "serve.key", ("admin",), "", "", ""), frozenset(ROLES))


class Guard:
    """Lets requests in by their keys. Without any key all may do everything; once there was one, none goes without.

    Args:
        master: the key of `serve.key`, which may do everything.
        limits: what keys have used, shared with the other processes of the service.
    """

    def __init__(self, master: str | None, limits: Limits | None = None, clock: Clock | None = None) -> None:
        self._master = None if master is None else _digest(master)
        self._limits = limits or Limits.private()
        self._clock = clock or Clock()
        self._rows: list[ApiKeyRow] = []
        self._holders: dict[str, Holder] = {}

    @property
    def guards(self) -> bool:
        """Whether keys are asked for at all."""
        return self._master is not None or bool(self._rows)

    def learn(self, rows: Iterable[ApiKeyRow]) -> None:
        """Take over the keys as the ledger has them now; ended ones admit nobody any more."""
        listed, now = list(rows), self._clock.now()
        live = [row for row in listed if row.revoked_at is None and not _is_over(row, now)]
        self._limits.provide(row.id for row in live if row.rate is not None or row.quota is not None)
        self._rows, self._holders = listed, {row.id: Holder.of(row) for row in live}

    def admit(self, request: Request, role: str) -> None:
        """Let a request in that wants to do what takes a role; it then knows who its holder is.

        Raises:
            HttpError: 401 without a key or with a wrong one, 403 for another role, 429 beyond a limit.
        """
        holder = self._holder(request.headers.get(b"authorization", b"")) if self.guards else ANYONE
        if role != ANY and role not in holder.roles:
            fix = f"use a key of the role {role}"
            raise HttpError(403, "key-forbidden", "the key is not for this", where="Authorization", fix=fix)
        self._limits.take(holder.key)
        request.holder = holder

    def refuse_if_used_up(self, holder: Holder | None) -> None:
        """Look at the quota once more: requests that came in one piece were let in before any of them was charged.

        Raises:
            HttpError: 429.
        """
        if holder is not None and holder.key.quota is not None:
            self._limits.refuse_if_used_up(holder.key)

    def charge(self, holder: Holder, rows: int) -> None:
        """Count rows that were predicted or said against a quota."""
        if holder.key.quota is not None:
            self._limits.charge(holder.key, rows)

    def close(self) -> None:
        """Give back what is shared with other processes."""
        self._limits.close()

    def _holder(self, authorization: bytes) -> Holder:
        scheme, _, given = authorization.partition(b" ")
        text = given.strip().decode("latin-1")
        id, secret = split_key(text) or ("", "")
        holder = self._holders.get(id)
        kept = holder.key if holder is not None else _NOBODY
        proven = proves(secret, kept.salt, kept.hash)
        mastered = self._master is not None and hmac.compare_digest(_digest(text), self._master)
        if scheme.lower() == b"bearer" and (mastered or (proven and holder is not None)):
            return _MASTER if mastered or holder is None else holder
        fix = "send the header Authorization: Bearer <key>"
        raise HttpError(401, "key-required", "this needs a key of the service", where="Authorization", fix=fix)


def _is_over(key: ApiKeyRow, now: datetime) -> bool:
    return key.expires_at is not None and datetime.fromisoformat(key.expires_at) <= now


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def resolve(text: str | None, environment: Mapping[str, str] | None = None) -> str | None:
    """The key that `serve.key` means: the text itself, or what the environment has under `${NAME}`.

    Raises:
        BadInput: code `key-required`: the variable is not set, or empty.
    """
    if text is None:
        return None
    reference = _REFERENCE.fullmatch(text.strip())
    key = text if reference is None else (os.environ if environment is None else environment).get(reference[1], "")
    if not key.strip():
        raise BadInput(
            "the key of the service is empty",
            code="key-required",
            where="volant.toml, serve.key",
            got=text.strip() if reference else None,
            fix=f"set the environment variable {reference[1]}" if reference else "write a key, or remove the line",
        )
    return key.strip()


def refuse_open_door(host: str, guard: Guard) -> None:
    """Other machines may reach the service only if it asks for keys.

    Raises:
        BadInput: code `key-required`.
    """
    if not guard.guards and not is_loopback(host):
        raise BadInput(
            "a service that other machines can reach needs a key",
            code="key-required",
            where="volant.toml, serve.host",
            got=host,
            fix="make one with `volant keys create`, or listen on 127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
