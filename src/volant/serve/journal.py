"""The prediction log as the service uses it: refused early when it cannot be written, mended when it can again."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from volant.columns.media import reference
from volant.errors import Failure, VolantError
from volant.store.log import FrameLog, PredictionLog
from volant.store.media_log import MediaLog
from volant.store.records import PredictionRecord

ROOM_BYTES = 64 * 1024 * 1024
"""A log that stopped on a full disk goes on once this much is free."""

_logger = logging.getLogger("volant.serve")


class Logs(Protocol):
    """What the journal needs of the store."""

    home: Path

    def prediction_log(self) -> PredictionLog: ...

    def media_log(self) -> MediaLog: ...

    def index_segments(self) -> int: ...

    def waiting_bytes(self) -> int: ...


class Journal:
    """Writes predictions before they are answered, and has them indexed in the background. Threads may share it."""

    def __init__(self, store: Logs, most_bytes: int) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._full: Failure | None = None
        self._heard: Failure | None = None
        self._log = store.prediction_log()
        self._media: MediaLog | None = None
        self._opening = threading.Lock()
        self._counting = threading.Lock()
        self._written = 0
        self._indexed = 0

    @property
    def failure(self) -> Failure | None:
        """Why no prediction can be taken at the moment, or None."""
        media = None if self._media is None else self._media.failure
        return self._log.failure or media or self._full or self._heard

    def hear(self, error: VolantError) -> None:
        """Another process, which logs for this one, said this: where the disk is what failed, it is the same disk."""
        if error.code in ("store-full", "store-failed"):
            self._heard = Failure(error.what, code=error.code)

    @property
    def waiting(self) -> int:
        """Rows that this process wrote and that are not in the ledger yet."""
        return self._written - self._indexed

    def refuse_if_failed(self) -> None:
        """Call before predicting.

        Raises:
            Failure: nothing can be logged, so nothing is to be predicted.
        """
        if (failure := self.failure) is not None:
            raise Failure(failure.what, code=failure.code, fix="try again later")

    def append(self, records: Sequence[PredictionRecord]) -> None:
        """Log predictions; on return they survive the end of this process, however it ends.

        Raises:
            BadInput: a row cannot be kept as plain data.
            Failure: the log cannot be written.
        """
        self._log.append(records)
        with self._counting:
            self._written += len(records)

    def keep(self, data: bytes | None) -> str | None:
        """Keep a file that came with a prediction; what stands for it in the log, None where it is missing.

        Call it before the prediction that names it is appended.

        Raises:
            Failure: the file cannot be written.
        """
        if data is None:
            return None
        with self._opening:  # a product without files has no log of them
            media = self._media = self._media or self._store.media_log()
        return reference(media.keep(data))

    def index(self) -> None:
        """Move what was written into the ledger."""
        written = self._written
        self._store.index_segments()
        self._indexed = written

    def look(self) -> None:
        """Refuse while more waits for the ledger than may; begin new logs once there is room on a full disk."""
        self._full = _too_much() if self._store.waiting_bytes() > self._most_bytes else None
        failure = self._log.failure or (None if self._media is None else self._media.failure) or self._heard
        if failure is None or failure.code != "store-full":
            return
        if shutil.disk_usage(self._store.home).free >= ROOM_BYTES:
            stopped: list[FrameLog] = []
            self._heard = None
            if self._log.failure is not None:
                stopped.append(self._log)
                self._log = self._store.prediction_log()
            if self._media is not None and self._media.failure is not None:
                stopped.append(self._media)
                self._media = self._store.media_log()
            for log in stopped:
                _close(log)
            _logger.warning("there is room on the disk again: predictions are logged and answered")

    def close(self, *, index: bool = True) -> None:
        """Flush and end; where no other process does it, index what is left."""
        if self._media is not None:
            _close(self._media)
        _close(self._log)
        if index:
            self.index()


def _too_much() -> Failure:
    what, fix = "too many predictions wait to be moved into the ledger", "see that the ledger can be written"
    return Failure(what, code="store-full", fix=fix)


def _close(log: FrameLog) -> None:
    try:
        log.close()
    except VolantError as error:
        _logger.error("the prediction log could not be closed in order: %s", error.code)
