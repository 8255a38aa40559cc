"""Keys of the service: made, listed, rotated and revoked; and the trail of who changed what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from volant.core.product import parse_duration
from volant.errors import BadInput
from volant.store.audit import first_break
from volant.store.keys import PERIODS, ROLES, Wanted
from volant.store.part import iso
from volant.store.records import ApiKeyRow
from volant.wheel.context import Context
from volant.wheel.results import AuditTrail, KeyResult

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RATE = re.compile(r"\s*([\d_]+)\s*/\s*([smhd])\s*")
_QUOTA = re.compile(r"\s*([\d_]+)\s*/\s*([a-z]+)\s*")


def create_key(
    context: Context,
    name: str,
    roles: Sequence[str],
    *,
    rate: str | None = None,
    quota: str | None = None,
    expires: str | None = None,
) -> KeyResult:
    """Make a key. The result holds the key itself, which is kept nowhere.

    Args:
        name: whose it is.
        roles: what it is for.
        rate: requests, such as `100/s`, `600/m`.
        quota: rows, such as `10000/day`.
        expires: after which time it ends, such as `90d`.

    Raises:
        BadInput: code `usage`.
    """
    if not re.fullmatch(r"[\w][\w .@-]{0,63}", name):
        fix = "use letters, digits, spaces and .@_-"
        raise BadInput("a key's name has 1 to 64 characters", code="usage", where="name", fix=fix)
    burst, seconds = _parsed_rate(rate)
    rows, period = _parsed_quota(quota)
    wanted = Wanted(
        name=name,
        roles=_known(roles),
        rate=burst / seconds if burst else None,
        burst=burst,
        quota=rows,
        period=period,
        expires_at=None if expires is None else _from_now(context, expires, "--expires"),
    )
    row, key = context.store.create_api_key(wanted)
    return _result(context, row, key)


def list_keys(context: Context) -> list[KeyResult]:
    """All keys, ended ones included, oldest first."""
    return [_result(context, row) for row in context.store.api_keys()]


def rotate_key(context: Context, id: str, *, overlap: str = "24h") -> KeyResult:
    """Make a key that is for the same as another one, which ends after the time `overlap`.

    Raises:
        BadInput: codes `key-unknown`, `usage`.
    """
    old = context.store.api_key(id)
    end = _from_now(context, overlap, "--overlap")
    context.store.end_api_key(id, end if old.expires_at is None else min(end, old.expires_at))
    wanted = Wanted(old.name, old.roles, old.rate, old.burst, old.quota, old.period, old.expires_at)
    row, key = context.store.create_api_key(wanted, replaces=id)
    return _result(context, row, key)


def revoke_key(context: Context, id: str) -> KeyResult:
    """End a key now. A running service notices within a second.

    Raises:
        BadInput: code `key-unknown`.
    """
    return _result(context, context.store.end_api_key(id))


def audit(context: Context) -> AuditTrail:
    """Everything that changed what the product does, and whether the trail is whole."""
    rows = context.store.audit_trail()
    return AuditTrail(tuple(row.record() for row in rows), first_break(rows))


def _known(roles: Sequence[str]) -> tuple[str, ...]:
    for role in roles:
        if role not in ROLES:
            raise BadInput("there is no such role", code="usage", where="--role", got=role, choices=ROLES)
    if not roles:
        raise BadInput("a key needs a role", code="usage", where="--role", choices=ROLES)
    return tuple(role for role in ROLES if role in roles)


def _parsed_rate(text: str | None) -> tuple[int | None, int]:
    if text is None:
        return None, 1
    found = _RATE.fullmatch(text)
    if found is None or not int(found[1]):
        fix = 'write requests per time, such as "100/s", "600/m" or "5000/h"'
        raise BadInput("this is no rate", code="usage", where="--rate", got=text, fix=fix)
    return int(found[1]), _SECONDS[found[2]]


def _parsed_quota(text: str | None) -> tuple[int | None, str | None]:
    if text is None:
        return None, None
    found = _QUOTA.fullmatch(text)
    if found is None or found[2] not in PERIODS or not int(found[1]):
        fix = f'write rows per {", ".join(PERIODS)}, such as "10000/day"'
        raise BadInput("this is no quota", code="usage", where="--quota", got=text, fix=fix)
    return int(found[1]), found[2]


def _from_now(context: Context, text: str, where: str) -> str:
    try:
        return iso(context.clock.now() + timedelta(seconds=parse_duration(text)))
    except (ValueError, OverflowError):
        fix = 'write a time such as "30m", "24h" or "90d"'
        raise BadInput("this is no time", code="usage", where=where, got=text, fix=fix) from None


def _result(context: Context, row: ApiKeyRow, key: str | None = None) -> KeyResult:
    now = iso(context.clock.now())
    over = row.expires_at is not None and row.expires_at <= now
    facts: dict[str, Any] = {name: value for name, value in row.record().items() if name != "burst"}
    return KeyResult(**facts, live=row.revoked_at is None and not over, key=key)
