"""`POST /v1/predict`: rows in, answers out, every answer logged with its id before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from volant.serve.answering import Answered, Answerer, Part, PredictionFailed
from volant.serve.deck import Deck
from volant.serve.elsewhere import Elsewhere
from volant.serve.http import JSON, Request, Response
from volant.serve.journal import Journal
from volant.serve.keys import ANYONE, Guard, Holder
from volant.serve.metrics import ProductFigures
from volant.serve.shown import Shown
from volant.serve.traffic import Traffic
from volant.serve.uploads import as_json


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
    ) -> None:
        self._shown = shown
        self._deck = deck
        self._journal = journal
        self._answerer = answerer
        self._figures = figures
        self._guard = guard
        self._elsewhere = elsewhere

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        traffic = self._deck.need_traffic()
        self._journal.refuse_if_failed()
        holder = request.holder or ANYONE
        body = as_json(request.body, request.headers.get(b"content-type", JSON), traffic.champion.slot.signature)
        if len(body) > traffic.inline_bytes:
            return self._later(traffic, body, holder)
        try:
            return self._counted(self._answerer.answer(traffic, body), traffic, body, holder)
        except PredictionFailed as failed:
            self._count(failed.parts, holder)
            raise

    async def _later(self, traffic: Traffic, body: bytes, holder: Holder) -> Response:
        try:
            answered = await self._elsewhere.predict(traffic, body)
        except PredictionFailed as failed:
            self._count(failed.parts, holder)
            raise
        return self._counted(answered, traffic, body, holder)

    def _counted(self, answered: Answered, traffic: Traffic, body: bytes, holder: Holder) -> Response:
        self._count(answered.parts, holder)
        if traffic.shadows and self._shown is not None:  # once the answer is on its way
            asyncio.get_running_loop().call_soon(self._shown.show, answered.ids, body)
        return Response(answered.body)

    def _count(self, parts: tuple[Part, ...], holder: Holder) -> None:
        for part in parts:
            self._figures.predicted(part.release, part.rows, part.seconds, failed=part.failed)
        self._guard.charge(holder, sum(part.rows for part in parts))
