"""The logs of one process: predictions, written before they are answered and flushed shortly after."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from volant.errors import BadInput, Failure
from volant.store import disk
from volant.store.frames import frame
from volant.store.records import PredictionRecord
from volant.store.segment import Segment

FLUSH_SECONDS = 0.005
"""A flush to disk begins at most this long after a prediction was written. Power loss costs no more."""

ASKED_SECONDS = 0.5
"""How often a log looks whether another process wants its segment to be done with."""

SEGMENT_BYTES = 64 * 1024 * 1024
"""A segment that would grow beyond this is closed, and a new one begun."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PredictionRecord)


class FrameLog:
    """Appends frames to segments of this process. Any thread may append; forked children may not.

    Args:
        folder: where the segments lie; it exists.
        what: what is logged, for messages.
        segment_bytes: size at which a new segment is begun.
    """

    def __init__(self, folder: Path, what: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._what = what
        self._segment_bytes = segment_bytes
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._retired: list[Segment] = []
        self._failure: Failure | None = None
        self._segment = self._new_segment()
        self._flusher = threading.Thread(target=self._flush_for_ever, name="volant-flush", daemon=True)
        self._flusher.start()

    @property
    def failure(self) -> Failure | None:
        """Why the log takes no more predictions, or None while it does."""
        return self._failure

    def _write(self, data: bytes) -> bool:
        """Hand frames to the operating system, all or none; whether they begin a new segment.

        Raises:
            Failure: code `store-full` or `store-failed`. Every later write fails too.
        """
        with self._lock:
            self._refuse_if_unusable()
            try:
                begun = self._make_room(len(data))
                self._segment.write(data)
            except OSError as error:
                raise self._fail(error) from error
        if not self._dirty.is_set():  # the flusher clears it before it flushes
            self._dirty.set()
        return begun

    def flush(self) -> None:
        """Return when everything appended before is on disk.

        Raises:
            Failure: it could not be made durable; the log has failed.
        """
        self._sync()
        self._refuse_if_failed()

    def close(self) -> None:
        """Flush and end. The segment is then free to be indexed and deleted."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._dirty.set()
        self._flusher.join()
        try:
            self.flush()
        finally:
            with self._lock:
                self._segment.close()

    def _new_segment(self) -> Segment:
        try:
            return Segment.create(self._folder)
        except OSError as error:
            raise disk.failure(error, f"opening the {self._what} log") from error

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)

    def _refuse_if_unusable(self) -> None:
        self._refuse_if_failed()
        if self._closing.is_set() or os.getpid() != self._process:
            raise Failure(
                f"the {self._what} log is closed, or belongs to another process",
                code="store-failed",
                fix="open a log in the process that predicts",
            )

    def _make_room(self, size: int) -> bool:
        """Begin a new segment where this one would grow too large; whether it was necessary."""
        if not (self._segment.size and self._segment.size + size > self._segment_bytes):
            return False
        self._begin_anew()
        return True

    def _begin_anew(self) -> None:
        following = Segment.create(self._folder)
        self._retired.append(self._segment)
        self._segment = following

    def _flush_for_ever(self) -> None:
        looked = time.monotonic()
        while not self._closing.is_set():
            if self._dirty.wait(ASKED_SECONDS):
                self._closing.wait(FLUSH_SECONDS)
                self._dirty.clear()
                self._sync()
            if time.monotonic() - looked >= ASKED_SECONDS:
                looked = time.monotonic()
                self._let_go_if_asked()

    def _let_go_if_asked(self) -> None:
        """Begin a new segment where another process wants this one to be done with."""
        with self._lock:
            if self._failure is not None or self._closing.is_set() or not self._segment.is_asked_for():
                return
            try:
                self._begin_anew()
            except OSError as error:
                self._fail(error)
                return
            self._forget()
        self._sync()

    def _forget(self) -> None:
        """Forget what the last segment held."""

    def _sync(self) -> None:
        with self._syncing:
            with self._lock:
                retired, self._retired = self._retired, []
                current = self._segment
            try:
                for segment in (*retired, current):
                    segment.sync()
            except OSError as error:
                with self._lock:
                    self._fail(error)
            for segment in retired:
                segment.close()

    def _fail(self, error: OSError) -> Failure:
        if self._failure is None:
            self._failure = disk.failure(error, f"writing the {self._what} log")
        return self._failure


class PredictionLog(FrameLog):
    """Appends predictions."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        super().__init__(folder, "prediction", segment_bytes)

    def append(self, records: Sequence[PredictionRecord]) -> None:
        """Hand predictions to the operating system, all or none. On return `kill -9` loses none of them.

        Raises:
            BadInput: code `input-invalid`: a record cannot be kept as plain data. The log goes on.
            Failure: code `store-full` or `store-failed`. Every later append fails too.
        """
        self._write(b"".join([_framed(record, position) for position, record in enumerate(records)]))


def _framed(record: PredictionRecord, position: int) -> bytes:
    """The frame of a record, which is proven to be readable: what cannot be read back is refused now."""
    try:
        payload = _encoder.encode(record)
        read = _decoder.decode(payload)
        _refuse_nul(read)
        return frame(payload)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BadInput(
            "a prediction cannot be logged: it is not plain data, or too large",
            code="input-invalid",
            where=f"records[{position}]",
            got=type(error).__name__,
            fix="keep to texts, finite sizes, 64-bit numbers, lists and objects",
        ) from error


def _refuse_nul(record: PredictionRecord) -> None:
    texts: tuple[Any, ...] = (record.id, record.release, record.at, record.policy, record.subject, record.config_hash)
    if any(text and "\x00" in text for text in texts):
        raise ValueError("a NUL character in a text")
