"""Erasure: what the store holds of a person, and how it goes. A keyed hash stays, so that nothing comes back."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select

from volant.store import flock, tables
from volant.store.audit import Audit
from volant.store.part import fields
from volant.store.predictions import in_lots
from volant.store.segment import ASKED, SUFFIX

FREE_SECONDS = 10.0
"""How long running processes have to begin new segments."""


@dataclass(frozen=True)
class Tombstones:
    """Who was erased: hashes of their names under a key of this product's own, which alone tell nobody."""

    key: str
    hashes: frozenset[str]

    def hash_of(self, subject: str) -> str:
        """The hash of a name."""
        return hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), key=bytes.fromhex(self.key)).hexdigest()[:32]

    def holds(self, subject: str | None) -> bool:
        """Whether somebody was erased."""
        return bool(self.hashes) and subject is not None and self.hash_of(subject) in self.hashes

    def __len__(self) -> int:
        return len(self.hashes)


class Erasure(Audit):
    """People who were erased, and erasing them."""

    def tombstones(self) -> Tombstones:
        """Who was erased so far."""
        with self._database.read() as connection:
            return tombstones(connection)

    def bury(self, subject: str) -> str:
        """Let nothing of somebody come in any more; the hash of the name. Once and for all."""
        with self._database.write() as connection:
            known = tombstones(connection)
            key = known.key or secrets.token_hex(32)
            hashed = Tombstones(key, known.hashes).hash_of(subject)
            if hashed not in known.hashes:
                values = {"subject_hash": hashed, "at": self._now(), "facts": {"key": key}}
                connection.execute(tables.erasure.insert().values(values))
                self._note(connection, "erase", hashed, {})
            return hashed

    def erasures(self) -> list[dict[str, Any]]:
        """All erasures: the hash of the name, when it began, and the models that had learned from the person."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.erasure).order_by(tables.erasure.c.seq))
            return [{"hash": r.subject_hash, "at": r.at, "models": r.facts.get("models", [])} for r in rows]

    def predictions_of(self, subject: str) -> list[dict[str, Any]]:
        """The predictions about somebody, as they were logged."""
        query = select(tables.prediction).where(tables.prediction.c.subject == subject)
        with self._database.read() as connection:
            return [fields(row) for row in connection.execute(query.order_by(tables.prediction.c.at))]

    def feedback_of(self, subject: str, predictions: Iterable[str]) -> list[dict[str, Any]]:
        """What was said by somebody, or about their predictions."""
        table, found = tables.feedback, {}
        with self._database.read() as connection:
            for row in connection.execute(select(table).where(table.c.actor == subject)):
                found[row.seq] = fields(row)
            for some in in_lots(list(predictions)):
                for row in connection.execute(select(table).where(table.c.prediction_id.in_(some))):
                    found[row.seq] = fields(row)
        return [found[seq] for seq in sorted(found)]

    def beside(self, subject: str, predictions: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """What is kept beside somebody's predictions and words, by table: what shadows answered, questions, trust."""
        ids, found = list(predictions), dict[str, list[dict[str, Any]]]()
        with self._database.read() as connection:
            for name in ("shadow", "question"):
                table = getattr(tables, name)
                queries = [select(table).where(table.c.prediction_id.in_(some)) for some in in_lots(ids)]
                found[name] = [fields(row) for query in queries for row in connection.execute(query)]
            found["actor"] = [fields(row) for row in connection.execute(select(tables.actor).where(_actor(subject)))]
        return found

    def erase_rows(self, subject: str) -> Mapping[str, int]:
        """Delete everything of somebody from the tables; how many rows went from each."""
        ids = [row["id"] for row in self.predictions_of(subject)]
        gone = {"prediction": 0, "feedback": 0, "shadow": 0, "impression": 0, "question": 0, "actor": 0}
        with self._database.write() as connection:
            if not self._database.postgres:
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            for some in in_lots(ids):
                for name in ("feedback", "shadow", "impression", "question"):
                    table = getattr(tables, name)
                    done = connection.execute(delete(table).where(table.c.prediction_id.in_(some)))
                    gone[name] += done.rowcount
                done = connection.execute(delete(tables.prediction).where(tables.prediction.c.id.in_(some)))
                gone["prediction"] += done.rowcount
            by = delete(tables.feedback).where(tables.feedback.c.actor == subject)
            gone["feedback"] += connection.execute(by).rowcount
            gone["actor"] += connection.execute(delete(tables.actor).where(_actor(subject))).rowcount
            named = delete(tables.dataset_member).where(tables.dataset_member.c.subject == subject)
            connection.execute(named)
        return gone

    def finish_erasure(self, hashed: str, facts: Mapping[str, Any]) -> None:
        """Record what an erasure did."""
        with self._database.write() as connection:
            table = tables.erasure
            row = connection.execute(select(table).where(table.c.subject_hash == hashed)).one()
            values = {"facts": {**row.facts, **facts}}
            connection.execute(table.update().where(table.c.seq == row.seq).values(values))

    def erase_candidates(self, digests: Sequence[str]) -> None:
        """Let evaluations of candidates go that learned from somebody; the candidates stay in the record."""
        with self._database.write() as connection:
            for some in in_lots(list(digests)):
                table = tables.evaluation
                connection.execute(delete(table).where(table.c.candidate.in_(some)))

    def squeeze(self) -> bool:
        """Write the database anew without what was deleted, its log included; False where the database does that."""
        if self._database.postgres:
            return False
        with self._database.turn():
            connection = self._database.engine.raw_connection()
            try:
                cursor = connection.cursor()
                for statement in ("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    cursor.execute(statement)
                    cursor.fetchall()
                cursor.close()
            finally:
                connection.close()
        return True

    def free_segments(self, patience: float = FREE_SECONDS) -> list[str]:
        """Have running processes begin new segments, so that the ones that they held can be indexed and deleted.

        Gives the names of those that are still held after so many seconds: whoever holds them hangs, or is busy.
        """
        held, until = self._live(), time.monotonic() + patience
        asked = [path.with_suffix(ASKED) for path in held]
        for path in asked:
            path.touch()
        while held and time.monotonic() < until:
            time.sleep(0.05)
            held = [path for path in held if flock.is_held(path)]
        for path in asked:
            path.unlink(missing_ok=True)
        return [path.name for path in held]

    def _live(self) -> list[Path]:
        """Segments that processes which run now hold."""
        folders = (self.home / "segments", self.home / "media")
        paths = [path for folder in folders for path in sorted(folder.glob(f"*{SUFFIX}"))]
        return [path for path in paths if flock.is_held(path)]


def _actor(subject: str) -> ColumnElement[bool]:
    """The actors that somebody is: under the plain name, and with each key that it was sent with."""
    who = tables.actor.c.id
    return (who == subject) | who.startswith(f"{subject}@", autoescape=True)


def tombstones(connection: Connection) -> Tombstones:
    """Who was erased, as a transaction sees it."""
    rows = list(connection.execute(select(tables.erasure).order_by(tables.erasure.c.seq)))
    key = rows[0].facts["key"] if rows else ""
    return Tombstones(key, frozenset(row.subject_hash for row in rows))
