"""Predictions: written to segments by those who predict, indexed into the database by whoever needs them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select

from volant.errors import VolantError
from volant.store import disk, flock, tables
from volant.store.frames import Scan, scan
from volant.store.log import PredictionLog
from volant.store.media_log import MediaLog
from volant.store.packs import Packs
from volant.store.part import Part, fields
from volant.store.records import PredictionRecord, ShadowRow
from volant.store.segment import FRESH, SUFFIX

MEDIA = "media"
"""The folder of packs in a product's home."""

CHUNK_BYTES = 2 * 1024 * 1024
"""How much of a segment one transaction indexes, so that others get their turn."""

SHADOW = "shadow"
"""The policy of what a release would have answered that only sees requests: its id is that of the real answer."""

_IDS = 500
_decoder = msgspec.msgpack.Decoder(PredictionRecord)


class Predictions(Part):
    """The prediction log and the table that it is indexed into."""

    @property
    def _segments(self) -> Path:
        return self.home / "segments"

    def prediction_log(self) -> PredictionLog:
        """A log for this process. Close it, so that its segments can be indexed and deleted at once.

        Raises:
            Failure: codes `store-full`, `store-failed`.
        """
        return PredictionLog(self._segments)

    @cached_property
    def media(self) -> Packs:
        """The files that datasets and predictions name by their hashes."""
        return Packs(self.home / MEDIA)

    def media_log(self) -> MediaLog:
        """A log for this process of the files that come with predictions. Close it, so that they are packed.

        Raises:
            Failure: codes `store-full`, `store-failed`.
        """
        return MediaLog(self.home / MEDIA)

    def index_segments(self) -> int:
        """Move what is new in the segments into the table, files of processes that are gone into packs.

        Gives the number of new rows.

        Any process may call it at any time. A segment that is complete and whose writer is gone is deleted;
        a torn end of it is cut off first. A torn end of a segment that is still written to is left alone.

        Raises:
            Failure: codes `store-full`, `store-failed`, `store-unavailable`.
        """
        try:
            self.media.pack_segments()
            return sum(self._index(path) for path in self._unread())
        except OSError as error:
            raise disk.failure(error, "indexing the prediction log") from error

    def waiting_bytes(self) -> int:
        """Bytes in the segments that are not in the table yet, all of them where the table cannot be read."""
        try:
            with self._database.read() as connection:
                offsets = {row.name: row.offset for row in connection.execute(select(tables.segment))}
        except VolantError:
            offsets = {}
        paths = self._segments.glob(f"*{SUFFIX}")
        return sum(max(_size(path) - offsets.get(path.name, 0), 0) for path in paths)

    def find_predictions(self, ids: Collection[str]) -> dict[str, PredictionRecord]:
        """The predictions of these ids, by id; unknown ones are left out. Finds those not yet indexed, too."""
        found = self._look_up(ids)
        missing = [id for id in dict.fromkeys(ids) if id not in found]
        if missing:
            self.index_segments()
            found |= self._look_up(missing)
        return found

    def each_prediction(self, since: str = "", lot: int = 5_000) -> Iterator[list[PredictionRecord]]:
        """All predictions from a time on (ISO 8601, UTC), in lots, by id; what is not indexed yet is, first."""
        self.index_segments()
        table, after = tables.prediction, ""
        while True:
            query = select(table).where(table.c.id > after, table.c.at >= since).order_by(table.c.id).limit(lot)
            with self._database.read() as connection:
                found = [PredictionRecord(**fields(row)) for row in connection.execute(query)]
            if not found:
                return
            yield found
            after = found[-1].id

    def shadows(self, release: str) -> Iterator[ShadowRow]:
        """What a release that only saw requests would have answered, beside what was answered."""
        answered = tables.shadow.join(tables.prediction, tables.prediction.c.id == tables.shadow.c.prediction_id)
        query = select(
            tables.shadow, tables.prediction.c.output.label("answer"), tables.prediction.c.release.label("by")
        )
        query = query.select_from(answered).where(tables.shadow.c.release == release).order_by(tables.shadow.c.at)
        self.index_segments()
        with self._database.read() as connection:
            for row in connection.execution_options(yield_per=_IDS).execute(query):
                yield ShadowRow(**fields(row))

    def _look_up(self, ids: Collection[str]) -> dict[str, PredictionRecord]:
        found: dict[str, PredictionRecord] = {}
        with self._database.read() as connection:
            for some in in_lots(ids):
                query = select(tables.prediction).where(tables.prediction.c.id.in_(some))
                for row in connection.execute(query):
                    found[row.id] = PredictionRecord(**fields(row))
        return found

    def _unread(self) -> list[Path]:
        """Segments with bytes that are not indexed, or without a writer; names swept in passing."""
        with self._database.read() as connection:
            offsets = {row.name: row.offset for row in connection.execute(select(tables.segment))}
        for path in self._segments.glob(f"*{FRESH}"):
            if not flock.is_held(path):  # its writer died before it gave the segment a name
                path.unlink(missing_ok=True)
        paths = sorted(self._segments.glob(f"*{SUFFIX}"))
        return [path for path in paths if _size(path) != offsets.get(path.name, 0) or not flock.is_held(path)]

    def _index(self, path: Path) -> int:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            return sum(self._steps(path, descriptor, os.fstat(descriptor).st_size))
        finally:
            os.close(descriptor)

    def _steps(self, path: Path, descriptor: int, size: int) -> Iterator[int]:
        """Index chunk after chunk up to `size`, each with its offset in one transaction."""
        more = True
        while more:
            with self._database.write() as connection:
                dead = flock.try_take(descriptor)  # before reading: nothing can be added any more
                offset, cut = _recorded(connection, path.name)
                chunk = _read(descriptor, offset)
                new = self._insert(connection, chunk.payloads)
                offset += chunk.end
                more = bool(chunk.payloads) and (dead or offset < size)
                if dead and not more:
                    cut += _cut(descriptor, offset)
                self._record(connection, path.name, offset, cut, done=dead and not more)
            if dead and not more:
                path.unlink(missing_ok=True)
            yield new

    def _insert(self, connection: Connection, payloads: Sequence[memoryview]) -> int:
        """Insert what the payloads hold; how many predictions are new. Shadows have a table of their own."""
        records = [_decoder.decode(payload) for payload in payloads]
        answers = [msgspec.structs.asdict(record) for record in records if record.policy != SHADOW]
        seen = [_shadow(record) for record in records if record.policy == SHADOW]
        if seen:
            connection.execute(self._database.insert_new(tables.shadow), seen)
        if not answers:
            return 0
        statement = self._database.insert_new(tables.prediction).execution_options(preserve_rowcount=True)
        return int(connection.execute(statement, answers).rowcount)

    def _record(self, connection: Connection, name: str, offset: int, cut: int, *, done: bool) -> None:
        """Note how far a segment is indexed. One that is done is forgotten, unless bytes were cut off."""
        table = tables.segment
        connection.execute(delete(table).where(table.c.name == name))
        if cut or not done:
            connection.execute(table.insert().values(name=name, offset=offset, cut=cut))


def _shadow(record: PredictionRecord) -> dict[str, Any]:
    names = ("release", "deployment", "output", "latency_us", "at")
    return {"prediction_id": record.id, **{name: getattr(record, name) for name in names}}


def in_lots(ids: Collection[str]) -> Iterator[list[str]]:
    """The ids in lots that fit into one statement."""
    listed = list(dict.fromkeys(ids))
    for start in range(0, len(listed), _IDS):
        yield listed[start : start + _IDS]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _recorded(connection: Connection, name: str) -> tuple[int, int]:
    table = tables.segment
    row: Any = connection.execute(select(table.c.offset, table.c.cut).where(table.c.name == name)).first()
    return (row.offset, row.cut) if row else (0, 0)


def _read(descriptor: int, offset: int) -> Scan:
    """The next whole frames, at least one where the file holds one."""
    found = scan(os.pread(descriptor, CHUNK_BYTES, offset))
    if not found.payloads and found.need > CHUNK_BYTES:
        found = scan(os.pread(descriptor, found.need, offset))
    return found


def _cut(descriptor: int, end: int) -> int:
    """Truncate a segment after its last whole frame; the number of bytes that were cut off."""
    surplus = os.fstat(descriptor).st_size - end
    if surplus > 0:
        os.ftruncate(descriptor, end)
    return max(surplus, 0)
