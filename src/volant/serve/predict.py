"""`POST /v1/predict`: rows in, answers out, every answer logged with its id before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

from volant.errors import VolantError
from volant.serve.answering import Answered, Answerer, PredictionFailed
from volant.serve.deck import Deck
from volant.serve.elsewhere import Elsewhere
from volant.serve.forms import (
    FORMS,
    MOST_PIECES,
    NDJSON,
    answer_lines,
    arrow_answer,
    forms,
    lines_of,
    pieces_of,
    refuse_too_many,
    rows_as_json,
)
from volant.serve.gathering import Gathering, Small
from volant.serve.http import JSON, Request, Response
from volant.serve.journal import Journal
from volant.serve.keys import ANYONE, Guard
from volant.serve.metrics import ProductFigures
from volant.serve.repeated import Before, named
from volant.serve.shown import Shown
from volant.serve.streaming import Lines, begun
from volant.serve.traffic import Traffic
from volant.serve.uploads import as_json
from volant.serve.work import Part

LARGE = 64 * 1024
"""Bytes beyond which even changing the form of a body is left to a thread."""

P = ParamSpec("P")
T = TypeVar("T")


class Predict:
    """The endpoint. Small requests are answered in the event loop, large ones elsewhere."""

    def __init__(
        self,
        deck: Deck,
        journal: Journal,
        answerer: Answerer,
        *,
        figures: ProductFigures,
        guard: Guard,
        elsewhere: Elsewhere,
        shown: Shown | None,
        before: Before,
        most_rows: int,
    ) -> None:
        self._before = before
        self._shown = shown
        self._most_rows = most_rows
        self._deck = deck
        self._journal = journal
        self._answerer = answerer
        self._gathering = Gathering(answerer, self._settled)
        self._figures = figures
        self._guard = guard
        self._elsewhere = elsewhere

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        traffic = self._deck.need_traffic()
        self._journal.refuse_if_failed()
        self._guard.refuse_if_used_up(request.holder)
        given, wanted = forms(request.headers)
        name = named(request)
        if name or given != JSON or wanted != JSON or len(request.body) > traffic.inline_bytes:
            return self._later(traffic, request, (given, wanted), name)
        return self._gathering.add(Small(traffic, request))

    def _settled(self, small: Small, found: Answered | Exception) -> Response | Exception:
        """The response to a small request."""
        if isinstance(found, PredictionFailed):
            self._count(found.parts, small.request)
        if isinstance(found, Exception):
            return found
        return Response(self._counted(found, small.traffic, small.request, small.request.body))

    def _at_once(self, traffic: Traffic, request: Request, body: bytes, name: str) -> bytes:
        try:
            answered = self._answerer.answer(traffic, body, name)
        except PredictionFailed as failed:
            self._count(failed.parts, request)
            raise
        return self._counted(answered, traffic, request, body)

    async def _later(self, traffic: Traffic, request: Request, form: tuple[bytes, bytes], name: str) -> Response:
        """What takes longer, or comes or goes in another form than JSON."""
        (given, wanted), ask = form, partial(self._asked, traffic, request)
        if given == NDJSON and wanted == NDJSON:
            lines = lines_of(request.body)
            refuse_too_many(len(lines), self._most_rows * MOST_PIECES)
            pieces = pieces_of(lines, self._most_rows)
            answers = Lines(ask, pieces, request.id.decode(), name).answers()
            return Response(await begun(answers), content_type=NDJSON)
        body = await _aside(len(request.body), self._as_json, traffic, request, given)
        answer = await ask(body, name)
        if wanted == JSON:
            return Response(answer)
        made = _lines_at_once if wanted == NDJSON else arrow_answer
        return Response(await _aside(len(answer), made, answer), content_type=wanted)

    def _as_json(self, traffic: Traffic, request: Request, given: bytes) -> bytes:
        if given in FORMS:
            return rows_as_json(request.body, given, self._most_rows)
        return as_json(request.body, request.headers.get(b"content-type", JSON), traffic.champion.slot.signature)

    async def _asked(self, traffic: Traffic, request: Request, body: bytes, name: str) -> bytes:
        """The answer to a body of JSON, wherever it is made: the one that was given before, if it was."""
        if name:
            return await self._before.answer(traffic, body, name, partial(self._made, traffic, request, body))
        return await self._made(traffic, request, body, "")

    async def _made(self, traffic: Traffic, request: Request, body: bytes, name: str) -> bytes:
        """A new answer; a name makes it the same request as another one of that name."""
        if len(body) <= traffic.inline_bytes:
            return self._at_once(traffic, request, body, name)
        try:
            answered = await self._elsewhere.predict(traffic, body, name)
        except PredictionFailed as failed:
            self._count(failed.parts, request)
            raise
        except VolantError as error:
            self._journal.hear(error)
            raise
        return self._counted(answered, traffic, request, body)

    def _counted(self, answered: Answered, traffic: Traffic, request: Request, body: bytes) -> bytes:
        self._count(answered.parts, request)
        if answered.times is not None:
            request.times = (*request.times, answered.times)
        if traffic.shadows and self._shown is not None:  # once the answer is on its way
            asyncio.get_running_loop().call_soon(self._shown.show, answered.ids, body)
        return answered.body

    def _count(self, parts: tuple[Part, ...], request: Request) -> None:
        for part in parts:
            self._figures.predicted(part.release, part.rows, part.seconds, failed=part.failed)
        self._guard.charge(request.holder or ANYONE, sum(part.rows for part in parts))


async def _aside(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of some work, done in a thread where it is large."""
    return await asyncio.to_thread(work, *args, **kwargs) if size > LARGE else work(*args, **kwargs)


def _lines_at_once(answer: bytes) -> bytes:
    return b"".join(answer_lines(answer))
