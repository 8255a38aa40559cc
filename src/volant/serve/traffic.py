"""Who answers whom: releases with their shares of the requests, the same one for the same subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from volant.core.ids import keyed_unit
from volant.serve.slot import Slot

ALONE = "champion"
"""The policy of the champion."""


@dataclass(frozen=True, eq=False)
class Arm:
    """A release that answers, and on what grounds: the deployment behind it, its policy, its share."""

    slot: Slot
    deployment: int
    policy: str = ALONE
    share: float = 1.0

    def facts(self) -> Mapping[str, str]:
        """What names it on `/metrics`."""
        signature = self.slot.signature
        named = {"release": self.slot.name, "contract": str(signature.contract), "task": signature.task}
        return {**named, "policy": self.policy}


@dataclass(frozen=True, eq=False)
class Traffic:
    """The champion and those beside it. A request reads it once, and keeps what it read whatever is swapped in.

    `version` is the number of the event that led to it. `shadows` tells that others see the requests too.
    """

    champion: Arm
    arms: tuple[Arm, ...] = ()
    version: int = 0
    shadows: bool = False

    @cached_property
    def inline_bytes(self) -> int:
        """The size of a body up to which a request is answered in the event loop, by whichever arm."""
        return min(arm.slot.inline_bytes for arm in (self.champion, *self.arms))

    @cached_property
    def pace(self) -> float:
        """About how many seconds a byte of a body takes, in the slowest arm."""
        return max(arm.slot.pace for arm in (self.champion, *self.arms))

    def answers(self) -> list[tuple[str, int, float]]:
        """Who answers what: releases, deployments, shares."""
        return [(arm.slot.name, arm.deployment, arm.share) for arm in (self.champion, *self.arms)]

    def arm_of(self, subject: str) -> Arm:
        """Who answers a subject: always the same one, as long as the shares are the same.

        The place of a subject follows from a hash that the oldest arm keys, so that every experiment draws anew and
        a share that grows keeps whom it had.
        """
        if not self.arms:
            return self.champion
        place, reached = keyed_unit(self.arms[0].slot.release.digest, [subject])[0], 0.0
        for arm in self.arms:
            reached += arm.share
            if place < reached:
                return arm
        return self.champion
