"""Small requests that are there at the same moment are answered together; none waits for another.

What all sockets had ready in one turn of the event loop is predicted and logged at once, before the loop looks at them
again. A lone request is answered in the same turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from volant.errors import VolantError, place_of
from volant.serve.answering import Answered, Answerer
from volant.serve.http import Pending, Request, Response
from volant.serve.traffic import Traffic

_logger = logging.getLogger("volant.serve")


@dataclass(eq=False, slots=True)
class Small:
    """A small request: who answers it, what it is, and where the answer goes."""

    traffic: Traffic
    request: Request
    pending: Pending = field(default_factory=Pending)


Settle = Callable[[Small, Answered | Exception], Response | Exception]
"""Makes a response of an answer, and counts it."""


class Gathering:
    """Collects small requests until the event loop has read all that was there. All of it happens in that loop."""

    def __init__(self, answerer: Answerer, settle: Settle) -> None:
        self._answerer = answerer
        self._settle = settle
        self._waiting: list[Small] = []

    def add(self, small: Small) -> Pending:
        """Answer this before the sockets are looked at again."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_all)
        self._waiting.append(small)
        return small.pending

    def _answer_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for lot in _lots(waiting):
            for small, outcome in zip(lot, self._outcomes(lot), strict=True):
                try:
                    small.pending.tell(self._settled(small, outcome))
                except Exception as error:  # one connection that breaks must not keep the others waiting
                    _logger.error("an answer could not be sent: %s", place_of(error))

    def _settled(self, small: Small, outcome: Answered | Exception) -> Response | Exception:
        try:
            return self._settle(small, outcome)
        except Exception as error:  # whoever asked is told
            return error

    def _outcomes(self, lot: Sequence[Small]) -> Sequence[Answered | Exception]:
        try:
            return self._answerer.answer_all(lot[0].traffic, [one.request.body for one in lot], [""] * len(lot))
        except VolantError as error:  # it is about none of them
            return [error] * len(lot)
        except Exception as error:  # one by one they find room, and what nobody foresaw of one spoils no other
            return [error] if len(lot) == 1 else [self._outcomes([one])[0] for one in lot]


def _lots(waiting: Sequence[Small]) -> Iterator[Sequence[Small]]:
    """Requests that the same releases answer, no more at once than one request may hold in the event loop."""
    lot: list[Small] = []
    size = 0
    for small in waiting:
        size += len(small.request.body)
        if lot and (small.traffic is not lot[0].traffic or size > small.traffic.inline_bytes):
            yield lot
            lot, size = [], len(small.request.body)
        lot.append(small)
    if lot:
        yield lot
