"""From a body to its answer: read, predict, log, encode. All of it happens in one call, in whatever process."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np

from volant.core.clock import Clock
from volant.core.ids import keyed_unit, uuid7s
from volant.core.product import Product
from volant.core.records import Batch
from volant.errors import BadInput, VolantError, place_of
from volant.runtime.rows import answers, parse_rows
from volant.serve.asked import rows_of
from volant.serve.body import decode
from volant.serve.problems import HttpError
from volant.serve.reader import GaveUp, Table, batch_of
from volant.serve.repeated import ids_of
from volant.serve.slot import Slot
from volant.serve.traffic import Arm, Traffic
from volant.store.part import iso
from volant.store.records import PredictionRecord

AUDIT_KEY = "volant.audit"
"""Key of the hash that draws the audit share from prediction ids."""

Chosen = tuple[Table, Sequence[int] | None]
"""Rows of a request; None stands for all of them."""

_logger = logging.getLogger("volant.serve")
_encoder = msgspec.json.Encoder()


class Log(Protocol):
    """Where predictions are written before they are answered, and before them the files that came with them."""

    def append(self, records: Sequence[PredictionRecord]) -> None: ...

    def keep(self, data: bytes | None) -> str | None: ...


@dataclass(frozen=True)
class Part:
    """What one release did for a request: rows, seconds, and whether it gave no usable answer."""

    release: str
    rows: int
    seconds: float
    failed: bool = False


@dataclass(frozen=True)
class Answered:
    """The answer to one request, and what it took."""

    body: bytes
    parts: tuple[Part, ...]
    ids: Sequence[str] = ()


class PredictionFailed(HttpError):
    """A model gave no usable answer. What it took is known all the same."""

    def __init__(self, parts: tuple[Part, ...]) -> None:
        what, fix = "the model gave no usable answer to one of the rows", "look at the release's report, or roll back"
        super().__init__(500, "prediction-failed", what, fix=fix)
        self.parts = parts


@dataclass
class _Work:
    """One request while it is worked on: its rows, their ids, and, row by row, who answers what."""

    table: Table
    ids: list[str]
    audit: list[bool]
    arms: list[Arm]
    found: list[Any]
    parts: list[Part] = field(default_factory=list)

    def rows_of(self, arm: Arm) -> Sequence[int] | None:
        """The rows that an arm answers; None for all of them."""
        if all(one is arm for one in self.arms):
            return None
        return [i for i, one in enumerate(self.arms) if one is arm]


def audited(ids: Sequence[str], share: float) -> list[bool]:
    """Which predictions belong to the audit share: a fixed one of all ids, whatever was predicted."""
    return [unit < share for unit in keyed_unit(AUDIT_KEY, ids)]


class Answerer:
    """Answers requests for predictions of one product."""

    def __init__(self, product: Product, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._most_rows = product.file.serve.max_rows
        self._most_pixels = int(product.file.serve.max_megapixels * 1e6)
        self._refuses = product.file.serve.unknown_category == "refuse"
        self._audit = product.file.feedback.audit
        self._slices = product.file.quality.slices
        self._config_hash = product.config_hash

    def answer(self, traffic: Traffic, body: bytes, name: str = "") -> Answered:
        """The answer to one body; a name makes it the same request as another one of that name.

        Raises:
            VolantError: see `problems.STATUS`. Where a model failed, the rows are logged all the same.
        """
        found = self.answer_all(traffic, [body], [name])[0]
        if isinstance(found, VolantError):
            raise found
        return found

    def answer_all(
        self, traffic: Traffic, bodies: Sequence[bytes], names: Sequence[str]
    ) -> list[Answered | VolantError]:
        """The answers to several bodies, predicted together; what is wrong with one of them spoils no other."""
        outcomes = [self._begun(traffic, body, name) for body, name in zip(bodies, names, strict=True)]
        works = [one for one in outcomes if isinstance(one, _Work)]
        for arm in dict.fromkeys(arm for work in works for arm in work.arms):
            _predict(arm, works)
        if works:
            self._log.append([record for work in works for record in self._records(work)])
        return [_ended(one) if isinstance(one, _Work) else one for one in outcomes]

    def _begun(self, traffic: Traffic, body: bytes, name: str) -> _Work | VolantError:
        try:
            table = self.read(traffic, body)
        except VolantError as error:
            return error
        count = len(table)
        ids = ids_of(name, count) if name else uuid7s(count)
        arms = _drawn(traffic, table, ids[0]) if traffic.arms else [traffic.champion] * count
        return _Work(table, ids, audited(ids, self._audit), arms, [None] * count)

    def read(self, traffic: Traffic, body: bytes) -> Table:
        """The rows that a body holds.

        Raises:
            VolantError: 400, 413 or 422.
        """
        slot = traffic.champion.slot
        try:
            table = None if slot.files else slot.reader.read(body, self._most_rows)
            if table is not None and not (self._refuses and table.flags):
                return table
        except GaveUp:
            pass
        asked = rows_of(decode(body), self._most_rows)
        unknown = "refuse" if self._refuses else "flag"
        try:
            columns, flags = parse_rows(
                asked.rows, slot.signature, unknown_category=unknown, most_pixels=self._most_pixels
            )
        except BadInput as bad:
            raise asked.in_its_words(bad) from None
        target = slot.signature.target
        inputs = [row if target not in row else {k: v for k, v in row.items() if k != target} for row in asked.rows]
        told = {i: flag for i, flag in enumerate(flags) if flag}
        return Table(inputs, columns, told, asked.subjects, asked.single)

    def _records(self, work: _Work) -> list[PredictionRecord]:
        at, table = iso(self._clock.now()), work.table
        latency = int(sum(part.seconds for part in work.parts) * 1e6)
        inputs = self._kept(table, work.arms[0].slot.files)
        return [
            PredictionRecord(
                id=id,
                release=arm.slot.release.digest,
                at=at,
                input=row,
                output=found or {},
                deployment=arm.deployment,
                policy=arm.policy,
                propensity=arm.share,
                audit=drawn,
                slice_keys=_slice_keys(row, self._slices) if self._slices else {},
                subject=subject,
                config_hash=self._config_hash,
                latency_us=latency,
            )
            for id, row, found, arm, drawn, subject in zip(
                work.ids, inputs, work.found, work.arms, work.audit, table.subjects, strict=True
            )
        ]

    def _kept(self, table: Table, files: Sequence[str]) -> Sequence[Any]:
        """The rows as they are logged: files are kept by the store, and named by their hashes."""
        names = {name: [self._log.keep(cell) for cell in table.columns[name]] for name in files}
        if not names:
            return table.inputs
        return [
            {**row, **{name: kept[i] for name, kept in names.items() if name in row}}
            for i, row in enumerate(table.inputs)
        ]


def _slice_keys(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """What a row says of the columns that make slices, as it was sent."""
    sent = row if isinstance(row, dict) else msgspec.to_builtins(row)
    return {name: sent[name] for name in names if name in sent}


def _drawn(traffic: Traffic, table: Table, request: str) -> list[Arm]:
    """Who answers which row: always the same for a subject, and all rows without one are answered by one."""
    found = {subject: traffic.arm_of(subject) for subject in {subject or request for subject in table.subjects}}
    return [found[subject or request] for subject in table.subjects]


def _predict(arm: Arm, works: Sequence[_Work]) -> None:
    """Have one arm answer its rows of all requests at once; where that fails, request by request."""
    chosen = [(work, work.rows_of(arm)) for work in works]
    own = [(work, rows) for work, rows in chosen if rows is None or rows]
    if _answered(arm, own) or len(own) == 1:
        return
    for one in own:
        one[0].parts = [part for part in one[0].parts if part.release != arm.slot.name]
        _answered(arm, [one])


def _answered(arm: Arm, own: Sequence[tuple[_Work, Sequence[int] | None]]) -> bool:
    """Put the answers of an arm to its rows; whether all of them can be sent."""
    begun = time.perf_counter()
    sizes = [len(work.table) if rows is None else len(rows) for work, rows in own]
    found, sound = _predicted(arm, [(work.table, rows) for work, rows in own], sum(sizes))
    seconds, start = (time.perf_counter() - begun) / sum(sizes), 0
    for (work, rows), size in zip(own, sizes, strict=True):
        some = found[start : start + size]
        failed = not all(sound[start : start + size])
        work.parts.append(Part(arm.slot.name, size, seconds * size, failed))
        for i, one in zip(range(size) if rows is None else rows, some, strict=True):
            work.found[i] = one
        start += size
    return all(sound)


def _predicted(arm: Arm, chosen: Sequence[Chosen], count: int) -> tuple[list[Any], list[bool]]:
    """One answer per row, and which of them can be sent."""
    slot = arm.slot
    try:
        outputs = _outputs(slot, batch_of(chosen, slot.signature), count)
        return answers(outputs, slot.signature), _finite(outputs, count)
    except MemoryError:
        raise
    except Exception as error:  # whatever a model's library raises: the rows are logged, the caller gets a 500
        _logger.error("release %s failed to predict: %s", slot.name, place_of(error))
        return [None] * count, [False] * count


def _outputs(slot: Slot, batch: Batch, count: int) -> Batch:
    """What a release answers; where there is no memory for so many rows at once, in halves, quarters and so on."""
    parts: list[Batch] = []
    start, size = 0, count
    while start < count:
        try:
            parts.append(slot.release.predict({name: array[start : start + size] for name, array in batch.items()}))
            start += size
        except MemoryError:
            if size < 2:
                raise
            size = (size + 1) // 2
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _finite(outputs: Batch, count: int) -> list[bool]:
    """Which rows have answers whose numbers all are numbers."""
    sound = np.ones(count, dtype=bool)
    for array in outputs.values():
        if array.dtype.kind == "f":
            sound &= np.isfinite(array).reshape(count, -1).all(axis=1)
    return [True] * count if sound.all() else sound.tolist()


def _ended(work: _Work) -> Answered | VolantError:
    if any(part.failed for part in work.parts):
        return PredictionFailed(tuple(work.parts))
    first, flags = work.arms[0], work.table.flags
    told = []
    for i, (id, found, arm, audit) in enumerate(zip(work.ids, work.found, work.arms, work.audit, strict=True)):
        one = {"id": id, **found, "audit": audit}
        if i in flags:
            one["flags"] = flags[i]
        if arm is not first:
            one["release"], one["contract"] = arm.slot.name, arm.slot.signature.contract
        told.append(one)
    answer = {"release": first.slot.name, "contract": first.slot.signature.contract, "predictions": told}
    return Answered(_encoder.encode(answer), tuple(work.parts), work.ids)
