"""`POST /v1/feedback`: what users say about answers, on disk before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec

from volant.core.product import Product
from volant.core.protocols import Task
from volant.core.records import Feedback
from volant.errors import BadInput, Trouble, VolantError, nearest
from volant.serve.body import decode
from volant.serve.http import Request, Response
from volant.serve.keys import ANYONE, Guard, Holder
from volant.serve.metrics import ProductFigures
from volant.serve.problems import HttpError
from volant.store.records import Receipt

Submit = Callable[[Sequence[Feedback]], Future[list[Receipt]]]
"""Takes feedback and promises receipts once it is on disk: `FeedbackWriter.submit`."""

MOST_TROUBLES = 20
REVIEWERS = ("reviewer",)
"""Sources whose word decides; see `volant.evidence.label_view.LabelRule`."""
_TEXTS = ("prediction_id", "kind", "actor", "source", "event_at", "idempotency_key", "supersedes", "rationale")
_FIELDS = (*_TEXTS, "value", "valid")
_REQUIRED = ("prediction_id", "kind", "value")
_encoder = msgspec.json.Encoder()


class TakeFeedback:
    """The endpoint. A request is stored whole or not at all."""

    def __init__(
        self,
        product: Product,
        task: Task,
        classes: Callable[[], Sequence[str]],
        *,
        submit: Submit,
        guard: Guard,
        figures: ProductFigures,
    ) -> None:
        self._task = task
        self._classes = classes
        self._submit = submit
        self._guard = guard
        self._figures = figures
        self._target = product.file.task.target
        self._most_items = product.file.serve.max_rows

    async def __call__(self, request: Request) -> Response:
        holder = request.holder or ANYONE
        self._guard.refuse_if_used_up(request.holder)
        items = [replace(item, api_key=holder.key.id or None) for item in self.read(request.body)]
        self._refuse_false_reviewer(items, holder)
        try:
            receipts = await asyncio.wrap_future(self._submit(items))
        except VolantError as error:
            raise _in_terms_of_the_body(error) from None
        self._guard.charge(holder, len(items))
        for item, receipt in zip(items, receipts, strict=True):
            self._figures.acknowledged(item.kind, receipt.duplicate)
        told = [{"id": receipt.id, "duplicate": receipt.duplicate} for receipt in receipts]
        return Response(_encoder.encode({"feedback": told}))

    def _refuse_false_reviewer(self, items: Sequence[Feedback], holder: Holder) -> None:
        """A reviewer's word decides, so it takes a key that says that somebody is one."""
        if not any(item.source in REVIEWERS for item in items):
            return
        if not self._guard.guards:
            what, fix = (
                "only a service with keys takes the word of reviewers",
                "`volant keys create NAME --role review`",
            )
            raise HttpError(401, "key-required", what, where="feedback.source", fix=fix)
        if "review" not in holder.roles:
            what, fix = "the key is not a reviewer's", "use a key of the role review"
            raise HttpError(403, "key-forbidden", what, where="feedback.source", fix=fix)

    def read(self, body: bytes) -> list[Feedback]:
        """The feedback that a body holds, its values as the task has them.

        Raises:
            HttpError: 400, 413.
            BadInput: code `feedback-invalid`, naming every wrong field.
        """
        listed = _listed(decode(body))
        if len(listed) > self._most_items:
            what = f"a request may hold at most {self._most_items} pieces of feedback"
            raise HttpError(413, "request-too-large", what, where="feedback", got=f"{len(listed)} pieces")
        classes, stranger = self._classes(), f"anon-{uuid4()}"
        troubles: list[Trouble] = []
        items = []
        for i, item in enumerate(listed):
            wrong = list(_misshapen(item, f"feedback[{i}]"))
            if not wrong:
                try:
                    items.append(self._feedback(item, classes, stranger))
                except BadInput as bad:
                    wrong = [replace(t, where=_place(t.where, i)) for t in bad.troubles]
            troubles += wrong
            if len(troubles) >= MOST_TROUBLES:
                break
        if troubles:
            what = "the feedback is not valid"
            raise BadInput(what, code="feedback-invalid", troubles=troubles[:MOST_TROUBLES])
        return items

    def _feedback(self, item: dict[str, Any], classes: Sequence[str], stranger: str) -> Feedback:
        kind = item["kind"]
        kinds = [known.name for known in self._task.feedback]
        if kind not in kinds:
            what = "the task knows no such kind of feedback"
            raise BadInput(what, code="feedback-invalid", where="kind", got=kind[:64], choices=kinds)
        return Feedback(
            prediction_id=item["prediction_id"],
            kind=kind,
            value=self._task.parse_feedback(kind, item["value"], classes),
            actor=item.get("actor") or stranger,
            source=item.get("source") or "user",
            event_at=item.get("event_at"),
            idempotency_key=item.get("idempotency_key"),
            target=self._target,
            supersedes=item.get("supersedes"),
            rationale=item.get("rationale"),
            valid=item.get("valid", True),
        )


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, dict) or not isinstance(value.get("feedback"), list) or not value["feedback"]:
        raise BadInput(
            "the body must hold a list of feedback",
            code="feedback-invalid",
            where="feedback",
            fix='send {"feedback": [{"prediction_id": …, "kind": …, "value": …}]}',
        )
    unknown = next((name for name in value if name != "feedback"), None)
    if unknown is not None:
        raise BadInput(
            "unknown field", code="feedback-invalid", where=unknown[:64], got=unknown[:64], choices=["feedback"]
        )
    return list(value["feedback"])


def _misshapen(item: Any, where: str) -> Iterator[Trouble]:
    if not isinstance(item, dict):
        yield Trouble("a piece of feedback must be an object", where, type(item).__name__)
        return
    for name in item:
        if name not in _FIELDS:
            yield Trouble("unknown field", f"{where}.{name[:64]}", name[:64], _FIELDS, None, nearest(name, _FIELDS))
    for name in _REQUIRED:
        if name not in item:
            yield Trouble("the field is missing", f"{where}.{name}", fix="send it")
    for name in _TEXTS:
        if item.get(name) is not None and not isinstance(item[name], str):
            yield Trouble(f"{name} must be a text", f"{where}.{name}", type(item[name]).__name__)
        elif name in _REQUIRED and name in item and not item[name]:
            yield Trouble(f"{name} must not be empty", f"{where}.{name}", "nothing")
    if not isinstance(item.get("valid", True), bool):
        yield Trouble("valid must be true or false", f"{where}.valid", type(item["valid"]).__name__)


def _place(where: str | None, position: int) -> str:
    """Where a task found a trouble, in terms of the body."""
    name = (where or "value").rpartition(".")[2]
    return f"feedback[{position}].{name if name in _FIELDS else 'value'}"


def _in_terms_of_the_body(error: VolantError) -> VolantError:
    """The store speaks of items; callers sent feedback."""
    if not isinstance(error, BadInput):
        return error
    troubles = [replace(t, where=(t.where or "").replace("items[", "feedback[", 1)) for t in error.troubles]
    return BadInput(error.what, code=error.code, troubles=troubles[:MOST_TROUBLES])
