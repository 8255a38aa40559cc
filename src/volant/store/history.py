"""What was decided and what was deployed: verdicts, label views and the append-only history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, func, select

from volant.core.records import Comparison, Gap, Verdict
from volant.errors import Refused
from volant.store import tables
from volant.store.audit import Audit
from volant.store.part import fields
from volant.store.records import DeploymentRow, LabelViewRow, VerdictRow

CHAMPIONS = ("promote", "rollback")
"""Kinds of events that make a release the champion."""

KINDS = (*CHAMPIONS, "refuse", "canary", "split", "shadow", "end")
"""Kinds of events. `canary`, `split` and `shadow` give a release a part of the traffic, `end` takes it away."""

Kind = Literal["promote", "rollback", "refuse", "canary", "split", "shadow", "end"]
_events = tables.deployment_event
_NUMBERS = ("difference", "low", "high", "champion", "challenger")
_ENDS = ("value", "low", "high")


class History(Audit):
    """Verdicts, refusals included, and deployments, of which the latest promotion or rollback serves."""

    def add_verdict(self, verdict: Verdict) -> int:
        """Record what the gate decided; its number."""
        record = verdict.record()
        values = {name: record[name] for name in tables.verdict.c.keys() if name in record}  # noqa: SIM118
        with self._database.write() as connection:
            insert = tables.verdict.insert().returning(tables.verdict.c.seq)
            return int(connection.execute(insert, {**values, "at": self._now()}).scalar_one())

    def verdicts(self) -> list[VerdictRow]:
        """All verdicts in their order."""
        with self._database.read() as connection:
            return [_verdict(row) for row in connection.execute(select(tables.verdict).order_by(tables.verdict.c.seq))]

    def judge_turns(self, *judges: str) -> int:
        """How many verdicts against a champion were given on these judge sets: looks that were paid for."""
        table = tables.verdict
        query = select(func.count()).where(table.c.judge.in_(judges), table.c.champion.is_not(None))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def alpha_spent(self, *judges: str) -> float:
        """What these looks have cost together, each at the risk that was allowed when it was taken."""
        table = tables.verdict
        query = select(func.sum(table.c.alpha)).where(table.c.judge.in_(judges), table.c.champion.is_not(None))
        with self._database.read() as connection:
            return float(connection.execute(query).scalar_one() or 0.0)

    def deploy(
        self,
        release: str,
        kind: Kind,
        reason: str,
        contract: int,
        previous: str | None,
        facts: Mapping[str, Any],
    ) -> DeploymentRow:
        """Record an event of the history, if the champion still is `previous`; a refusal in any case.

        Raises:
            Refused: code `busy`: somebody else changed the champion in between.
        """
        given = {"kind": kind, "release": release, "previous": previous, "reason": reason, "contract": contract}
        values = {**given, "at": self._now(), "facts": dict(facts)}
        with self._database.write() as connection:
            if kind != "refuse":
                _refuse_if_changed(connection, previous)
            row = connection.execute(_events.insert().returning(*_events.c), values).one()
            if kind == "promote":
                new = {"digest": release, "contract": contract, "at": values["at"]}
                connection.execute(self._database.insert_new(tables.release).values(new))
            self._note(connection, f"deploy.{kind}", release, {"previous": previous, "reason": reason})
            return DeploymentRow(**fields(row))

    def champion(self) -> DeploymentRow | None:
        """The promotion or rollback that made the release that serves now."""
        with self._database.read() as connection:
            row = connection.execute(_latest_champion()).first()
        return DeploymentRow(**fields(row)) if row else None

    def deployments(self, after: int = 0) -> list[DeploymentRow]:
        """The history in its order, or what came after the event of that number."""
        query = select(_events).where(_events.c.seq > after).order_by(_events.c.seq)
        with self._database.read() as connection:
            return [DeploymentRow(**fields(row)) for row in connection.execute(query)]

    def add_label_view(self, version: str, rule: str, facts: Mapping[str, Any]) -> None:
        """Record a label view. The same version again is the same view."""
        values = {"version": version, "rule": rule, "at": self._now(), "facts": dict(facts)}
        with self._database.write() as connection:
            connection.execute(self._database.insert_new(tables.label_view).values(values))

    def label_views(self) -> list[LabelViewRow]:
        """All label views in their order."""
        with self._database.read() as connection:
            rows = connection.execute(select(tables.label_view).order_by(tables.label_view.c.seq))
            return [LabelViewRow(**fields(row, without=("seq",))) for row in rows]


def _latest_champion() -> Select[Any]:
    return select(_events).where(_events.c.kind.in_(CHAMPIONS)).order_by(_events.c.seq.desc()).limit(1)


def _refuse_if_changed(connection: Connection, previous: str | None) -> None:
    row = connection.execute(_latest_champion()).first()
    if (row.release if row else None) != previous:
        raise Refused(
            "the champion was changed by somebody else in between",
            code="busy",
            where="champion",
            got=row.release[:12] if row else "none",
            fix="look at `volant history`, then try again",
        )


def _verdict(row: Row[Any]) -> VerdictRow:
    values = fields(row, without=("seq", "at", "reasons", "comparisons", "gaps", "run"))
    comparisons = tuple(Comparison(**_with_nan(comparison, _NUMBERS)) for comparison in row.comparisons)
    gaps = tuple(Gap(**_with_nan({**gap, "left_out": tuple(gap["left_out"])}, _ENDS)) for gap in row.gaps or ())
    verdict = Verdict(reasons=tuple(row.reasons), comparisons=comparisons, gaps=gaps, **values)
    return VerdictRow(row.seq, row.at, verdict)


def _with_nan(record: Mapping[str, Any], numbers: tuple[str, ...]) -> dict[str, Any]:
    """Numbers that were not finite lie in the ledger as null."""
    missing = {name: float("nan") for name in numbers if record[name] is None}
    return {**record, **missing}
