"""Datasets, runs, candidates and their evaluations: immutable records of what was made from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, update

from volant.errors import BadInput, Failure
from volant.store import tables
from volant.store.part import Part, fields
from volant.store.records import CandidateRow, DatasetRow, EvaluationRow, RunRow

_LOT = 5000
_SHOWN = 12


class Ledger(Part):
    """Records that are added once and never change; adding one again does nothing."""

    def add_dataset(
        self, digest: str, rows: int, facts: Mapping[str, Any], *, subjects: Sequence[str | None] = ()
    ) -> None:
        """Record a dataset version; `subjects` names the subject of each row, for erasure."""
        members = [
            {"dataset": digest, "row": row, "subject": subject}
            for row, subject in enumerate(subjects)
            if subject is not None
        ]
        values = {"digest": digest, "rows": rows, "at": self._now(), "facts": dict(facts)}
        with self._database.write() as connection:
            connection.execute(self._database.insert_new(tables.dataset).values(values))
            for start in range(0, len(members), _LOT):
                lot = members[start : start + _LOT]
                connection.execute(self._database.insert_new(tables.dataset_member), lot)

    def latest_dataset(self) -> DatasetRow | None:
        """The dataset version that was added last."""
        query = select(tables.dataset).order_by(tables.dataset.c.seq.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return DatasetRow(**fields(row, without=("seq",))) if row else None

    def datasets(self) -> list[DatasetRow]:
        """All dataset versions, in the order they were added."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.dataset).order_by(tables.dataset.c.seq))
            return [DatasetRow(**fields(row, without=("seq",))) for row in rows]

    def dataset(self, digest: str) -> DatasetRow | None:
        """The dataset version of that digest."""
        with self._database.read() as connection:
            row = connection.execute(select(tables.dataset).where(tables.dataset.c.digest == digest)).first()
        return DatasetRow(**fields(row, without=("seq",))) if row else None

    def add_run(self, id: str, dataset: str, config_hash: str, budget: str, facts: Mapping[str, Any]) -> None:
        """Record that a run begins. A run that is resumed stays the one it was."""
        given = {"id": id, "dataset": dataset, "config_hash": config_hash, "budget": budget, "facts": dict(facts)}
        values = {**given, "status": "running", "started_at": self._now(), "finished_at": None}
        with self._database.write() as connection:
            connection.execute(self._database.insert_new(tables.run).values(values))

    def finish_run(self, id: str, status: str, facts: Mapping[str, Any]) -> None:
        """Record how a run ended; `facts` are added to those it began with."""
        table = tables.run
        with self._database.write() as connection:
            begun = connection.execute(select(table.c.facts).where(table.c.id == id)).scalar()
            if begun is None:
                raise Failure("a run ends that never began", code="internal", where="run", got=id)
            values = {"status": status, "finished_at": self._now(), "facts": {**begun, **facts}}
            connection.execute(update(table).where(table.c.id == id).values(values))

    def runs(self) -> list[RunRow]:
        """All runs, in the order they began."""
        query = select(tables.run).order_by(tables.run.c.started_at, tables.run.c.id)
        with self._database.read() as connection:
            return [RunRow(**fields(row)) for row in connection.execute(query)]

    def add_candidate(
        self, digest: str, run: str | None, dataset: str | None, contract: int, facts: Mapping[str, Any]
    ) -> None:
        """Record a candidate. The same digest again is the same candidate."""
        values = {"digest": digest, "run": run, "dataset": dataset, "contract": contract, "facts": dict(facts)}
        with self._database.write() as connection:
            new = self._database.insert_new(tables.candidate)
            connection.execute(new.values({**values, "at": self._now()}))

    def candidate(self, digest_or_prefix: str) -> CandidateRow:
        """The candidate of that digest, or the only one whose digest begins so.

        Raises:
            BadInput: code `no-candidate`: there is none, or there are several.
        """
        column = tables.candidate.c.digest
        begins = column.startswith(digest_or_prefix.lower(), autoescape=True)
        with self._database.read() as connection:
            query = select(tables.candidate).where(begins).order_by(column).limit(_SHOWN)
            found = [CandidateRow(**fields(row)) for row in connection.execute(query)] if digest_or_prefix else []
            latest = select(column).order_by(tables.candidate.c.at.desc()).limit(_SHOWN)
            known = list(connection.execute(latest).scalars())
        exact = [row for row in found if row.digest == digest_or_prefix]
        if len(exact or found) == 1:
            return (exact or found)[0]
        raise BadInput(
            "several candidates have a digest that begins so" if found else "there is no such candidate",
            code="no-candidate",
            got=digest_or_prefix,
            choices=tuple(digest[:_SHOWN] for digest in ([row.digest for row in found] or known)),
            fix="give more of the digest" if found else "take one of those, or train one with `volant train`",
        )

    def candidates(self) -> list[CandidateRow]:
        """All candidates, in the order they were added."""
        query = select(tables.candidate).order_by(tables.candidate.c.at, tables.candidate.c.digest)
        with self._database.read() as connection:
            return [CandidateRow(**fields(row)) for row in connection.execute(query)]

    def add_evaluation(self, candidate: str, dataset: str, part: str, facts: Mapping[str, Any]) -> int:
        """Record an evaluation; its number."""
        values = {"candidate": candidate, "dataset": dataset, "part": part, "at": self._now(), "facts": dict(facts)}
        with self._database.write() as connection:
            seq = tables.evaluation.c.seq
            return int(connection.execute(tables.evaluation.insert().returning(seq), values).scalar_one())

    def evaluations(self, candidate: str) -> list[EvaluationRow]:
        """All evaluations of a candidate, in the order they were made."""
        table = tables.evaluation
        query = select(table).where(table.c.candidate == candidate).order_by(table.c.seq)
        with self._database.read() as connection:
            return [EvaluationRow(**fields(row)) for row in connection.execute(query)]
