"""Which release answers which part of the traffic: what follows from the history of deployments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from volant.store.history import CHAMPIONS
from volant.store.records import DeploymentRow

ARMS = ("canary", "split")
"""Kinds of events that give a release a share of the answers."""

SHADOW = "shadow"


@dataclass(frozen=True)
class Standing:
    """What is deployed. `champions` are those that are or were champion and can be gone back to, oldest first.

    `arms` answer a share of the requests beside the champion, `shadows` see requests and answer nobody.
    """

    champions: tuple[DeploymentRow, ...] = ()
    arms: tuple[DeploymentRow, ...] = ()
    shadows: tuple[DeploymentRow, ...] = ()

    @property
    def champion(self) -> DeploymentRow | None:
        """The event that made the champion."""
        return self.champions[-1] if self.champions else None

    @property
    def free(self) -> float:
        """The share of the requests that the champion answers."""
        return 1.0 - sum(share_of(arm) for arm in self.arms)

    def routes(self) -> tuple[DeploymentRow, ...]:
        """Everything that has a part of the traffic beside the champion."""
        return (*self.arms, *self.shadows)


def share_of(event: DeploymentRow) -> float:
    """The share of the requests that a canary or a split answers."""
    return float(event.facts.get("share", 0.0))


def policy_of(event: DeploymentRow) -> str:
    """What predictions that an event stands behind are logged under."""
    return "champion" if event.kind in CHAMPIONS else str(event.facts.get("policy") or event.kind)


def standing(events: Iterable[DeploymentRow]) -> Standing:
    """What a history leads to. A new champion ends every route: what it was compared with is gone."""
    champions: list[DeploymentRow] = []
    routes: dict[str, DeploymentRow] = {}
    for event in events:
        if event.kind in CHAMPIONS:
            champions = _after(champions, event)
            routes.clear()
        elif event.kind in (*ARMS, SHADOW):
            routes[event.release] = event
        elif event.kind == "end":
            routes.pop(event.release, None)
    arms = tuple(event for event in routes.values() if event.kind in ARMS)
    shadows = tuple(event for event in routes.values() if event.kind == SHADOW)
    return Standing(tuple(champions), arms, shadows)


def _after(champions: list[DeploymentRow], event: DeploymentRow) -> list[DeploymentRow]:
    """The champions that can be gone back to once `event` has made one."""
    if event.kind == "rollback":
        known = [place for place, row in enumerate(champions) if row.release == event.release]
        return [*champions[: known[-1] if known else 0], event]
    before = champions[:-1] if champions and champions[-1].release == event.release else champions
    return [*before, event]
