"""From a body to its answer: read, predict, log, encode. All of it happens in one call, in whatever process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from volant.core.clock import Clock
from volant.core.ids import keyed_unit, uuid7s
from volant.core.product import Product
from volant.errors import BadInput, VolantError
from volant.runtime.rows import parse_rows
from volant.serve.asked import rows_of
from volant.serve.body import decode
from volant.serve.problems import HttpError
from volant.serve.reader import GaveUp, Table
from volant.serve.repeated import ids_of
from volant.serve.traffic import Arm, Traffic
from volant.serve.work import Part, Work, predict
from volant.store.part import iso
from volant.store.records import PredictionRecord

AUDIT_KEY = "volant.audit"
"""Key of the hash that draws the audit share from prediction ids."""

_encoder = msgspec.json.Encoder()


class Log(Protocol):
    """Where predictions are written before they are answered, and before them the files that came with them."""

    def append(self, records: Sequence[PredictionRecord]) -> None: ...

    def keep(self, data: bytes | None) -> str | None: ...


class Times(msgspec.Struct, frozen=True, gc=False):
    """When the work on a request began, when all was predicted and when it was logged (nanoseconds since 1970)."""

    begun: int
    predicted: int
    logged: int
    rows: int
    release: str


class Answered(msgspec.Struct, frozen=True):
    """The answer to one request, and what it took; `times` where requests are traced."""

    body: bytes
    parts: tuple[Part, ...]
    ids: Sequence[str] = ()
    times: Times | None = None


class PredictionFailed(HttpError):
    """A model gave no usable answer. What it took is known all the same."""

    def __init__(self, parts: tuple[Part, ...]) -> None:
        what, fix = "the model gave no usable answer to one of the rows", "look at the release's report, or roll back"
        super().__init__(500, "prediction-failed", what, fix=fix)
        self.parts = parts


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
        self.traced = False
        """Whether it tells when it did what."""

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
        begun = time.time_ns() if self.traced else 0
        outcomes = [self._begun(traffic, body, name) for body, name in zip(bodies, names, strict=True)]
        works = [one for one in outcomes if isinstance(one, Work)]
        for arm in dict.fromkeys(arm for work in works for arm in work.arms):
            predict(arm, works)
        predicted = time.time_ns() if self.traced else 0
        if works:
            self._log.append([record for work in works for record in self._records(work)])
        ended = [_ended(one) if isinstance(one, Work) else one for one in outcomes]
        if not self.traced:
            return ended
        return [_timed(one, begun, predicted) if isinstance(one, Answered) else one for one in ended]

    def _begun(self, traffic: Traffic, body: bytes, name: str) -> Work | VolantError:
        try:
            table = traffic.champion.slot.of_people(self.read(traffic, body))
        except VolantError as error:
            return error
        count = len(table)
        ids = ids_of(name, count) if name else uuid7s(count)
        arms = _drawn(traffic, table, ids[0]) if traffic.arms else [traffic.champion] * count
        return Work(table, ids, audited(ids, self._audit), arms, [None] * count, [])

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

    def _records(self, work: Work) -> list[PredictionRecord]:
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


def _timed(answered: Answered, begun: int, predicted: int) -> Answered:
    """The same answer with the times of its making; of several releases the first is named."""
    release = answered.parts[0].release if answered.parts else ""
    times = Times(begun, predicted, time.time_ns(), sum(part.rows for part in answered.parts), release)
    return replace(answered, times=times)


def _ended(work: Work) -> Answered | VolantError:
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
