"""Requests that a client repeats because it is unsure whether they came through: answered as before, logged once.

The ids of the predictions follow from the caller and the key that came with the request. Whoever answers a request with
a key looks for these ids first, so any process does, also after a restart. Of those that come at the same time one is
answered and the others wait for it; and whatever happens, the ledger keeps one row per id.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import msgspec

from volant.serve.claims import Claims
from volant.serve.http import Request
from volant.serve.problems import HttpError
from volant.store.records import DeploymentRow, PredictionRecord

if TYPE_CHECKING:
    from volant.serve.reader import Table
    from volant.serve.traffic import Traffic

HEADER = b"idempotency-key"
LONGEST = 255


def named(request: Request) -> str:
    """What makes a request the same as another one: its key and who sent it; nothing where it has no key.

    Raises:
        HttpError: 400: the key is empty, too long, or not plain text.
    """
    given = request.headers.get(HEADER)
    if given is None:
        return ""
    if not (0 < len(given) <= LONGEST and all(33 <= byte < 127 for byte in given)):
        fix = f"send 1 to {LONGEST} letters, digits and signs, such as a UUID"
        raise HttpError(400, "request-invalid", "the key is not plain text", where="Idempotency-Key", fix=fix)
    holder = request.holder.key.id if request.holder is not None else ""
    return f"{holder} {given.decode()}"


def ids_of(name: str, count: int) -> list[str]:
    """The ids of the predictions of a request, one per row.

    Source: RFC 9562, section 5.8.
    """
    return [_id(f"{name} {row}") for row in range(count)]


def _id(text: str) -> str:
    value = int.from_bytes(hashlib.blake2b(text.encode(), key=b"volant.repeated", digest_size=16).digest(), "big")
    value = (value & ~(0xF << 76)) | (0x8 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(UUID(int=value))


def told_before(
    ids: Sequence[str], inputs: Sequence[Any], subjects: Sequence[str | None], found: Mapping[str, PredictionRecord]
) -> list[PredictionRecord] | None:
    """What was answered before under these ids; None where nothing was, or where the model failed.

    Raises:
        HttpError: 409: the key came with other rows, or for other subjects, before.
    """
    if not found:
        return None
    records = [found.get(id) for id in ids]
    same = [
        r is not None and _plain(r.input) == _plain(row) and subject in (None, r.subject)
        for r, row, subject in zip(records, inputs, subjects, strict=True)
    ]
    if not all(same):
        what, fix = "the key came with another request before", "use a new key for every new request"
        raise HttpError(409, "input-invalid", what, where="Idempotency-Key", fix=fix)
    whole = [record for record in records if record is not None and record.output]
    return whole if len(whole) == len(ids) else None


class Ledger(Protocol):
    """What is needed of the store."""

    def find_predictions(self, ids: Collection[str]) -> dict[str, PredictionRecord]: ...

    def deployments(self, after: int = 0) -> list[DeploymentRow]: ...

    def index_segments(self) -> int: ...


class Reads(Protocol):
    """What reads bodies: `Answerer`."""

    def read(self, traffic: Traffic, body: bytes) -> Table: ...


class Before:
    """Answers a repeated request as it was answered before.

    Args:
        ledger: where the answers are.
        reader: reads bodies.
        claims: keeps two from being made at once under one name.
        shared: whether services on other machines have the same ledger. They see no log but their own, so what was
            answered is brought into the ledger first.
    """

    def __init__(self, ledger: Ledger, reader: Reads, claims: Claims, *, shared: bool = False) -> None:
        self._shared = shared
        self._ledger = ledger
        self._reader = reader
        self._claims = claims

    async def answer(self, traffic: Traffic, body: bytes, name: str, make: Callable[[str], Awaitable[bytes]]) -> bytes:
        """The answer to a request of this name: the one that was given before, else a new one by `make`.

        Raises:
            VolantError: see `look`, or what `make` raises.
        """
        return await self._claims.alone(name, partial(self._answered, traffic, body, name, make))

    async def _answered(
        self, traffic: Traffic, body: bytes, name: str, make: Callable[[str], Awaitable[bytes]]
    ) -> bytes:
        told, name = await asyncio.to_thread(self.look, traffic, body, name)
        if told is not None:
            return told
        answer = await make(name)
        if self._shared:
            await asyncio.to_thread(self._ledger.index_segments)
        return answer

    def look(self, traffic: Traffic, body: bytes, name: str) -> tuple[bytes | None, str]:
        """The answer that a request of this name was given, or None and the name to predict under.

        Rows that a model failed on are predicted anew, as a request without a name: their ids are taken.

        Raises:
            VolantError: the body cannot be read, or it is not the one that came under this name.
        """
        table = self._reader.read(traffic, body)
        ids = ids_of(name, len(table))
        found = self._ledger.find_predictions(ids)
        records = told_before(ids, table.inputs, table.subjects, found)
        if records is None:
            return None, "" if found else name
        contracts = {event.seq: event.contract for event in self._ledger.deployments()}
        return _answer(records, table.flags, contracts), name


def _answer(
    records: Sequence[PredictionRecord], flags: Mapping[int, dict[str, str]], contracts: Mapping[int, int]
) -> bytes:
    first, told = records[0], []
    for i, record in enumerate(records):
        one: dict[str, Any] = {"id": record.id, **record.output, "audit": record.audit}
        if i in flags:
            one["flags"] = flags[i]
        if record.deployment != first.deployment:
            one |= {"release": record.release[:12], "contract": contracts.get(record.deployment or 0, 1)}
        told.append(one)
    shared = {"release": first.release[:12], "contract": contracts.get(first.deployment or 0, 1)}
    return msgspec.json.encode({**shared, "predictions": told})


def _plain(row: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(row))
