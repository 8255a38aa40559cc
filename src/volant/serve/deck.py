"""The releases that answer: taken up from the history of deployments, swapped in one assignment, taken back in need."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from volant.errors import BadInput, Failure, Refused, VolantError
from volant.release.signature import same_contract, same_inputs
from volant.release.traffic import Standing, policy_of, share_of, standing
from volant.serve.problems import HttpError
from volant.serve.slot import Slot, load
from volant.serve.traffic import Arm, Traffic
from volant.store.history import Kind
from volant.store.records import DeploymentRow

RETRY_SECONDS = 5.0
MOST_TRIES = 3
"""A release for which there is no room at the moment is tried so often, `RETRY_SECONDS` apart."""

_logger = logging.getLogger("volant.serve")


class Ledger(Protocol):
    """What the deck needs of the store."""

    def deployments(self, after: int = 0) -> list[DeploymentRow]: ...

    def deploy(
        self,
        release: str,
        kind: Kind,
        reason: str,
        contract: int,
        previous: str | None,
        facts: Mapping[str, Any],
    ) -> DeploymentRow: ...


class Deck:
    """Follows the history of deployments. Requests read `traffic` once and keep what they read.

    Args:
        candidates: the folder that holds a folder per release.
        ledger: the history.
        signers: those one of whom must have sealed a release, if there are any.
        prepare: is called before somebody new answers; what it raises keeps them from it.
    """

    def __init__(
        self,
        candidates: Path,
        ledger: Ledger,
        *,
        prepare: Callable[[Traffic], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
        signers: Sequence[str] = (),
    ) -> None:
        self._signers = signers
        self.traffic: Traffic | None = None
        self.pending = False
        self._candidates = candidates
        self._ledger = ledger
        self._monotonic = monotonic
        self._prepare = prepare
        self._events: list[DeploymentRow] = []
        self._slots: dict[str, Slot] = {}
        self._tries: dict[str, tuple[int, float]] = {}

    @property
    def champion(self) -> Slot | None:
        """The release that answers, or the largest part of the requests."""
        return None if self.traffic is None else self.traffic.champion.slot

    def need_traffic(self) -> Traffic:
        """Who answers.

        Raises:
            HttpError: 503: nobody does yet.
        """
        if self.traffic is None:
            what = "the service has no release to answer with yet"
            raise HttpError(503, "not-ready", what, fix="try again later")
        return self.traffic

    def refresh(self) -> bool:
        """Take up what the history says now; whether that changed who answers.

        A release that cannot be served is taken back: the history then says so, with the reason, and the last good
        one serves on. One that there is only no room for is tried again first.

        Raises:
            VolantError: nothing can be served, or a release is still to be tried again.
        """
        self._events += self._ledger.deployments(after=self._events[-1].seq if self._events else 0)
        now, seen = standing(self._events), self._events[-1].seq if self._events else 0
        if now.champion is None or (self.traffic is not None and self.traffic.version == seen):
            return False
        if self._waits(now):
            return False
        try:
            champion = self._arm(now.champion, now.free)
            self._refuse_silent_change(champion.slot)
        except VolantError as error:
            self._give_up(now, error)
            return self.refresh()
        arms = tuple(arm for event in now.arms if (arm := self._arm_or_end(event, champion, now)) is not None)
        new = Traffic(champion, arms, seen, shadows=bool(now.shadows))
        try:
            self._prepare(new)
        except VolantError as error:
            self._give_up(now, error)
            return self.refresh()
        before, self.traffic = self.traffic, new
        self.pending = False
        self._forget(now)
        return before is None or before.answers() != self.traffic.answers()

    # ------------------------------------------------------------ loading

    def _slot(self, digest: str) -> Slot:
        if digest not in self._slots:
            self._slots[digest] = load(self._candidates / digest, digest, signers=self._signers)
        return self._slots[digest]

    def _arm(self, event: DeploymentRow, share: float) -> Arm:
        return Arm(self._slot(event.release), event.seq, policy_of(event), round(share, 9))

    def _arm_or_end(self, event: DeploymentRow, champion: Arm, now: Standing) -> Arm | None:
        """The arm of a route; one that cannot answer is ended."""
        try:
            arm = self._arm(event, share_of(event))
            if not same_inputs(arm.slot.signature, champion.slot.signature):
                raise BadInput("it takes other inputs than the champion", code="route-unfit")
        except VolantError as error:
            self._record("end", event, f"{event.release[:12]} failed its warm-up: {error.what}", now)
            return None
        return arm

    def _refuse_silent_change(self, slot: Slot) -> None:
        """Callers go by the contract's number, so what it stands for must not change behind it."""
        before = self.champion
        if before is None or before is slot or before.signature.contract != slot.signature.contract:
            return
        if not same_contract(before.signature, slot.signature):
            raise BadInput(
                "a release has other inputs, outputs or classes than the one before under the same contract",
                code="artifact-damaged",
                where=slot.name,
                fix="train again: a new contract gets a new number",
            )

    def _forget(self, now: Standing) -> None:
        """Let go of what is not needed. The champion before stays, so that going back takes no time."""
        kept = {event.release for event in (*now.champions[-2:], *now.arms)}
        self._slots = {digest: slot for digest, slot in self._slots.items() if digest in kept}
        self._tries.clear()

    # ------------------------------------------------------------ going back

    def _waits(self, now: Standing) -> bool:
        assert now.champion is not None
        tries, again = self._tries.get(now.champion.release, (0, 0.0))
        return tries > 0 and self._monotonic() < again

    def _give_up(self, now: Standing, error: VolantError) -> None:
        """Go back to the last good release, and have the history say why.

        Raises:
            VolantError: there is none, or the failed one is tried again later.
        """
        failed = now.champion
        assert failed is not None
        self.pending = True
        tries = self._tries.get(failed.release, (0, 0.0))[0] + 1
        if isinstance(error, Failure) and not error.code.startswith("artifact-") and tries < MOST_TRIES:
            self._tries[failed.release] = tries, self._monotonic() + RETRY_SECONDS
            raise error
        good = self._last_good(now.champions[:-1])
        if good is None:
            self._tries[failed.release] = MOST_TRIES, self._monotonic() + RETRY_SECONDS
            raise error
        self._record("rollback", good, f"{failed.release[:12]} failed its warm-up: {error.what}", now)

    def _last_good(self, champions: Sequence[DeploymentRow]) -> DeploymentRow | None:
        for event in reversed(champions):
            try:
                self._slot(event.release)
            except VolantError as error:
                _logger.error("release %s cannot be gone back to: %s", event.release[:12], error.what)
            else:
                return event
        return None

    def _record(self, kind: Kind, event: DeploymentRow, reason: str, now: Standing) -> None:
        """Put an event into the history. Another process may have been first; then its word holds."""
        assert now.champion is not None
        try:
            facts = {**event.facts, "automatic": True}
            self._ledger.deploy(event.release, kind, reason, event.contract, now.champion.release, facts)
        except Refused:
            return
        _logger.error("%s to %s: %s", kind, event.release[:12], reason)
