"""Group commit: the feedback of many callers shares one flush to disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from volant.core.records import Feedback
from volant.errors import BadInput, Failure
from volant.store.records import Receipt

if TYPE_CHECKING:
    from volant.store.store import Store

QUEUE_ITEMS = 10_000
"""Pieces of feedback that may wait. More are refused, so that memory stays bounded."""

GROUP_ITEMS = 2_000
"""Pieces of feedback that one transaction takes at most, a larger submission excepted."""

_Submission = tuple[Sequence[Feedback], "Future[list[Receipt]]"]


class FeedbackWriter:
    """Stores submissions in the order they come in, many in one transaction. Any thread may submit."""

    def __init__(self, store: Store, queue_items: int = QUEUE_ITEMS) -> None:
        self._store = store
        self._queue_items = queue_items
        self._waiting: deque[_Submission] = deque()
        self._items = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="volant-feedback", daemon=True)
        self._thread.start()

    def submit(self, items: Sequence[Feedback]) -> Future[list[Receipt]]:
        """Queue feedback. The future's receipts come once it is on disk; its error is that of `add_feedback`.

        Raises:
            Failure: code `store-failed`: the queue is full, or the writer is closed. Nothing was stored.
        """
        future: Future[list[Receipt]] = Future()
        with self._changed:
            if self._closed:
                raise Failure("feedback is not taken any more", code="store-failed", fix="start the service again")
            if self._items and self._items + len(items) > self._queue_items:
                raise Failure("too much feedback is waiting", code="store-failed", fix="send it again a little later")
            self._waiting.append((items, future))
            self._items += len(items)
            self._changed.notify()
        return future

    def close(self) -> None:
        """Store what was submitted, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while group := self._next_group():
            running = [(items, future) for items, future in group if future.set_running_or_notify_cancel()]
            self._store_group(running)

    def _next_group(self) -> list[_Submission]:
        """Submissions to store together; none when the writer is closed and everything is stored."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            group: list[_Submission] = []
            taken = 0
            while self._waiting and (not group or taken + len(self._waiting[0][0]) <= GROUP_ITEMS):
                group.append(self._waiting.popleft())
                taken += len(group[-1][0])
            self._items -= taken
            return group

    def _store_group(self, group: list[_Submission]) -> None:
        try:
            outcomes = self._store.add_feedback_groups([items for items, _ in group])
        except Exception as error:  # a caller waits for every future: none may stay open
            for _, future in group:
                future.set_exception(error)
        else:
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, BadInput):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
