"""What trust actors have earned, as of the last label view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import delete, select

from volant.store import tables
from volant.store.part import Part
from volant.store.records import ActorRow

_LOT = 5000


class Posterior(Protocol):
    """A Beta posterior, and how many answers it rests on."""

    @property
    def alpha(self) -> float: ...
    @property
    def beta(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def answers(self) -> int: ...


class TrustTable(Part):
    """One row per actor who has earned trust; a label view replaces them all, since each follows from all evidence."""

    def set_trust(self, trust: Mapping[str, Posterior], groups: Sequence[Sequence[str]] = ()) -> None:
        """Put these in the place of what was there. All the nameless together have the empty name."""
        member = {name: number for number, names in enumerate(groups, start=1) for name in names}
        now = self._now()
        rows: list[dict[str, Any]] = [
            {
                "id": name,
                "alpha": one.alpha,
                "beta": one.beta,
                "updated_at": now,
                "facts": {"low": one.low, "answers": one.answers, "group": member.get(name, 0)},
            }
            for name, one in trust.items()
        ]
        with self._database.write() as connection:
            connection.execute(delete(tables.actor))
            for start in range(0, len(rows), _LOT):
                connection.execute(tables.actor.insert(), rows[start : start + _LOT])

    def actors(self) -> list[ActorRow]:
        """All actors with their trust, by name."""
        with self._database.read() as connection:
            found = connection.execute(select(tables.actor).order_by(tables.actor.c.id))
            return [
                ActorRow(row.id, row.alpha, row.beta, row.facts["low"], row.facts["answers"], row.facts["group"])
                for row in found
            ]
