"""`POST /v1/predict`: rows in, answers out, every answer logged with its id before it is sent."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from volant.core.clock import Clock
from volant.core.ids import keyed_unit, uuid7
from volant.core.product import Product
from volant.errors import BadInput, Trouble, nearest, place_of
from volant.runtime.rows import answers, rows_to_batch
from volant.serve.body import decode
from volant.serve.deck import Deck, Slot, finite
from volant.serve.http import Request, Response
from volant.serve.journal import Journal
from volant.serve.keys import ANYONE, Guard, Holder
from volant.serve.metrics import ProductFigures
from volant.serve.problems import HttpError
from volant.serve.threads import Workers
from volant.store.part import iso
from volant.store.records import PredictionRecord

AUDIT_KEY = "volant.audit"
"""Key of the hash that draws the audit share from prediction ids."""

_FIELDS = ("rows", "row", "subject")
_LONGEST_TEXT = 1024
_logger = logging.getLogger("volant.serve")
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class Asked:
    """A request for predictions. `subjects` has one entry per row; `single` tells that it came as `row`."""

    rows: list[Any]
    subjects: Sequence[str | None]
    single: bool


def audited(ids: Sequence[str], share: float) -> list[bool]:
    """Which predictions belong to the audit share: a fixed one of all ids, whatever was predicted."""
    return [unit < share for unit in keyed_unit(AUDIT_KEY, ids)]


def read(body: bytes, max_rows: int) -> Asked:
    """What a body asks for.

    Raises:
        HttpError: 400, 413.
        BadInput: code `input-invalid`.
    """
    return rows_of(decode(body), max_rows)


def rows_of(value: Any, max_rows: int, more: Sequence[str] = ()) -> Asked:
    """The rows of a decoded body, which may hold the fields `more` beside them.

    Raises:
        HttpError: 413.
        BadInput: code `input-invalid`.
    """
    troubles = list(_misshapen(value, (*_FIELDS, *more)))
    if troubles:
        raise BadInput("the request does not have the right form", code="input-invalid", troubles=troubles)
    single = "row" in value
    rows = [value["row"]] if single else value["rows"]
    if len(rows) > max_rows:
        what = f"a request may hold at most {max_rows} rows"
        raise HttpError(
            413, "request-too-large", what, where="rows", got=f"{len(rows)} rows", fix="send them in several requests"
        )
    subject = value.get("subject")
    if isinstance(subject, list) and len(subject) != len(rows):
        got, fix = f"{len(subject)} subjects for {len(rows)} rows", "send one subject per row, or one for all"
        raise BadInput("the subjects do not match the rows", code="input-invalid", where="subject", got=got, fix=fix)
    return Asked(rows, subject if isinstance(subject, list) else [subject] * len(rows), single)


def _misshapen(value: Any, fields: Sequence[str]) -> list[Trouble]:
    if not isinstance(value, dict):
        return [Trouble("the body must be an object", "body", type(value).__name__, fix='send {"rows": [{…}]}')]
    troubles = [
        Trouble("unknown field", name[:64], name[:64], tuple(fields), None, nearest(name, fields))
        for name in value
        if name not in fields
    ][:20]
    if ("rows" in value) == ("row" in value):
        troubles.append(Trouble("either rows or row must be there", "rows", fix='send {"rows": [{…}]} or {"row": {…}}'))
    elif "rows" in value and not isinstance(value["rows"], list):
        troubles.append(Trouble("rows must be a list", "rows", type(value["rows"]).__name__))
    subject = value.get("subject")
    for one in subject if isinstance(subject, list) else [subject]:
        if one is not None and not (isinstance(one, str) and 0 < len(one) <= _LONGEST_TEXT and "\x00" not in one):
            what = f"a subject is a text of 1 to {_LONGEST_TEXT} characters"
            return [*troubles, Trouble(what, "subject", type(one).__name__)]
    return troubles


class Predict:
    """The endpoint. Small requests are answered in the event loop, large ones in a thread."""

    def __init__(
        self,
        product: Product,
        deck: Deck,
        journal: Journal,
        figures: ProductFigures,
        *,
        clock: Clock,
        workers: Workers,
        guard: Guard,
    ) -> None:
        self._guard = guard
        self._deck = deck
        self._journal = journal
        self._figures = figures
        self._clock = clock
        self._workers = workers
        self._serve = product.file.serve
        self._audit = product.file.feedback.audit
        self._slices = product.file.quality.slices
        self._config_hash = product.config_hash

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        slot = self._deck.champion
        if slot is None:
            raise HttpError(503, "not-ready", "the service has no release to answer with yet", fix="try again later")
        self._journal.refuse_if_failed()
        holder = request.holder or ANYONE
        if len(request.body) <= slot.inline_bytes:
            return Response(self.answer(slot, request.body, holder))
        return self._in_a_thread(slot, request.body, holder)

    async def _in_a_thread(self, slot: Slot, body: bytes, holder: Holder) -> Response:
        return Response(await self._workers.run(self.answer, slot, body, holder))

    def answer(self, slot: Slot, body: bytes, holder: Holder = ANYONE) -> bytes:
        """The answer to a body: decode, check, predict, log, encode.

        Raises:
            VolantError: see `problems.STATUS`.
        """
        begun = time.perf_counter()
        asked = read(body, self._serve.max_rows)
        batch, flags = converted(asked, slot, self._serve.unknown_category)
        ids = [uuid7() for _ in asked.rows]
        audit = audited(ids, self._audit)
        found, sound = self._predicted(slot, batch, len(ids))
        took = time.perf_counter() - begun
        self._journal.append(self._records(slot, asked, ids, audit, found, int(took * 1e6)))
        self._guard.charge(holder, len(ids))
        self._figures.predicted(slot.name, len(ids), took, failed=not sound)
        if not sound:
            what = "the model gave no usable answer to one of the rows"
            raise HttpError(500, "prediction-failed", what, fix="look at the release's report, or roll back")
        predictions = [
            {"id": id, **one, **({"flags": flag} if flag else {}), "audit": drawn}
            for id, one, flag, drawn in zip(ids, found, flags, audit, strict=True)
        ]
        return _encoder.encode({"release": slot.name, "contract": slot.signature.contract, "predictions": predictions})

    def _predicted(self, slot: Slot, batch: Mapping[str, Any], count: int) -> tuple[list[dict[str, Any]], bool]:
        """One answer per row, and whether all of them can be sent."""
        try:
            outputs = slot.release.predict(batch)
            return answers(outputs, slot.signature), finite(outputs)
        except Exception as error:  # whatever a model's library raises: the rows are logged, the caller gets a 500
            _logger.error("release %s failed to predict: %s", slot.name, place_of(error))
            return [{} for _ in range(count)], False

    def _records(
        self,
        slot: Slot,
        asked: Asked,
        ids: Sequence[str],
        audit: Sequence[bool],
        found: Sequence[dict[str, Any]],
        latency_us: int,
    ) -> list[PredictionRecord]:
        at, target = iso(self._clock.now()), slot.signature.target
        return [
            PredictionRecord(
                id=id,
                release=slot.release.digest,
                at=at,
                input=row if target not in row else {k: v for k, v in row.items() if k != target},
                output=answer,
                deployment=slot.deployment,
                audit=drawn,
                slice_keys={name: row[name] for name in self._slices if name in row},
                subject=subject,
                config_hash=self._config_hash,
                latency_us=latency_us,
            )
            for id, row, answer, drawn, subject in zip(ids, asked.rows, found, audit, asked.subjects, strict=True)
        ]


def converted(asked: Asked, slot: Slot, unknown_category: str) -> tuple[Mapping[str, Any], list[dict[str, str]]]:
    """The rows as the release takes them, and flags per row.

    Raises:
        BadInput: code `input-invalid`; a row that came as `row` is called so.
    """
    try:
        return rows_to_batch(asked.rows, slot.signature, unknown_category=unknown_category)
    except BadInput as bad:
        if not asked.single:
            raise
        troubles = [replace(t, where=(t.where or "row").replace("rows[0]", "row", 1)) for t in bad.troubles]
        raise BadInput(bad.what, code=bad.code, troubles=troubles) from None
