"""Running a product in Python: keys, the audit trail, what of the traffic goes where, and the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volant.core.clock import Clock
from volant.core.product import Product
from volant.core.progress import Progress
from volant.wheel.context import work_on
from volant.wheel.results import AuditTrail, Deployment, Exported, ExportedLog, KeyResult, Retained, Routes, Sealed

if TYPE_CHECKING:
    from volant.store.records import FeedbackRow
    from volant.store.validity import Which
    from volant.wheel.ask import Question
    from volant.wheel.erase import Erased, PersonalData
    from volant.wheel.turns import Look, Turn
    from volant.wheel.watch import WatchReport


@dataclass(frozen=True)
class Operations:
    """What those do who run a product; `volant.open(path).operations`. Methods open its store and close it again."""

    product: Product
    clock: Clock

    def create_key(
        self,
        name: str,
        roles: Sequence[str],
        *,
        rate: str | None = None,
        quota: str | None = None,
        expires: str | None = None,
    ) -> KeyResult:
        """Make a key of the service; see `volant.wheel.keys.create_key`."""
        from volant.wheel.keys import create_key

        with work_on(self.product, clock=self.clock) as context:
            return create_key(context, name, roles, rate=rate, quota=quota, expires=expires)

    def keys(self) -> list[KeyResult]:
        """All keys of the service."""
        from volant.wheel.keys import list_keys

        with work_on(self.product, clock=self.clock) as context:
            return list_keys(context)

    def rotate_key(self, id: str, *, overlap: str = "24h") -> KeyResult:
        """Put a new key into the place of another one; see `volant.wheel.keys.rotate_key`."""
        from volant.wheel.keys import rotate_key

        with work_on(self.product, clock=self.clock) as context:
            return rotate_key(context, id, overlap=overlap)

    def revoke_key(self, id: str) -> KeyResult:
        """End a key now."""
        from volant.wheel.keys import revoke_key

        with work_on(self.product, clock=self.clock) as context:
            return revoke_key(context, id)

    def audit(self) -> AuditTrail:
        """Who changed what; see `volant.wheel.keys.audit`."""
        from volant.wheel.keys import audit

        with work_on(self.product, clock=self.clock) as context:
            return audit(context)

    def routes(self) -> Routes:
        """Who answers which share of the requests."""
        from volant.wheel.route import routes

        with work_on(self.product, clock=self.clock) as context:
            return routes(context)

    def canary(self, candidate: str, share: float, *, promote_after: str | None = None, reason: str = "") -> Deployment:
        """Let a candidate answer a share, watched closely; see `volant.wheel.route.canary`."""
        from volant.wheel.route import canary

        with work_on(self.product, clock=self.clock) as context:
            return canary(context, candidate, share, promote_after=promote_after, reason=reason)

    def split(self, candidate: str, share: float, *, policy: str = "split", reason: str = "") -> Deployment:
        """Let a candidate answer a share, as an experiment; see `volant.wheel.route.split`."""
        from volant.wheel.route import split

        with work_on(self.product, clock=self.clock) as context:
            return split(context, candidate, share, policy=policy, reason=reason)

    def shadow(self, candidate: str, *, reason: str = "") -> Deployment:
        """Let a candidate see the requests and answer nobody; see `volant.wheel.route.shadow`."""
        from volant.wheel.route import shadow

        with work_on(self.product, clock=self.clock) as context:
            return shadow(context, candidate, reason=reason)

    def end_route(self, candidate: str | None = None, *, reason: str = "") -> list[Deployment]:
        """End the route of a candidate, or all; see `volant.wheel.route.end`."""
        from volant.wheel.route import end

        with work_on(self.product, clock=self.clock) as context:
            return end(context, candidate, reason=reason)

    def watch(self) -> WatchReport:
        """How far traffic is from what the champion was made for; see `volant.wheel.watch.watch`."""
        from volant.wheel.watch import watch

        with work_on(self.product, clock=self.clock) as context:
            return watch(context)

    def turn(self, why: str = "by hand", *, budget: str | None = None, progress: Progress | None = None) -> Turn:
        """One turn of the loop, or the rest of the one that was cut short; see `volant.wheel.turns.turn`."""
        from volant.wheel.turns import turn

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return turn(context, why, budget=budget)

    def look(self, heard: int = -1, *, progress: Progress | None = None) -> Look:
        """What `volant loop` does between turns; see `volant.wheel.turns.look`."""
        from volant.wheel.turns import look

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return look(context, heard)

    def turns(self) -> list[Turn]:
        """All turns of the loop, oldest first."""
        from volant.wheel.turns import turns

        with work_on(self.product, clock=self.clock) as context:
            return turns(context)

    def questions(self) -> list[Question]:
        """What reviewers are asked, the most pressing first; new questions as far as the day's budget goes."""
        from volant.core.ids import uuid7
        from volant.wheel.ask import ask, questions

        with work_on(self.product, clock=self.clock) as context:
            ask(context, seed=uuid7())
            return questions(context)

    def answer(self, prediction_id: str, value: Any, *, actor: str, rationale: str | None = None) -> None:
        """Store what a reviewer says about a prediction; see `volant.wheel.ask.answer`."""
        from volant.wheel.ask import answer

        with work_on(self.product, clock=self.clock) as context:
            answer(context, prediction_id, value, actor=actor, rationale=rationale)

    def find_feedback(self, which: Which, most: int | None = None) -> list[FeedbackRow]:
        """Feedback as it is kept; see `volant.wheel.feedback.find_feedback`."""
        from volant.wheel.feedback import find_feedback

        with work_on(self.product, clock=self.clock) as context:
            return find_feedback(context, which, most)

    def mark_feedback(self, which: Which, *, valid: bool, reason: str = "") -> int:
        """Withdraw feedback, or let it count again; see `volant.wheel.feedback.mark_feedback`."""
        from volant.wheel.feedback import mark_feedback

        with work_on(self.product, clock=self.clock) as context:
            return mark_feedback(context, which, valid=valid, reason=reason)

    def subject(self, name: str) -> PersonalData:
        """Everything that is kept of a person; see `volant.wheel.erase.subject`."""
        from volant.wheel.erase import subject

        with work_on(self.product, clock=self.clock) as context:
            return subject(context, name)

    def erase(
        self, name: str, *, retrain: bool = True, budget: str | None = None, progress: Progress | None = None
    ) -> Erased:
        """Let a person go from everything; see `volant.wheel.erase.erase`."""
        from volant.wheel.erase import erase

        with work_on(self.product, progress=progress, clock=self.clock) as context:
            return erase(context, name, retrain=retrain, budget=budget)

    def sign(self, release: str | None = None, *, key: Path | None = None) -> Sealed:
        """Seal a release, by default the champion; see `volant.wheel.sign.sign`."""
        from volant.wheel.sign import sign

        with work_on(self.product, clock=self.clock) as context:
            return sign(context, release, key)

    def export(self, release: str | None = None, *, out: Path | None = None) -> Exported:
        """Write a release on its own, with clients that need no volant; see `volant.wheel.export.export`."""
        from volant.wheel.export import export

        with work_on(self.product, clock=self.clock) as context:
            return export(context, release, out)

    def retain(self, *, dry_run: bool = False) -> Retained:
        """Remove what is older than the product file allows; see `volant.wheel.retain.retain`."""
        from volant.wheel.retain import retain

        with work_on(self.product, clock=self.clock) as context:
            return retain(context, dry_run=dry_run)

    def export_log(self, out: Path, *, since: str | None = None) -> ExportedLog:
        """Write the log of predictions as Parquet; see `volant.wheel.export_log.export_log`."""
        from volant.wheel.export_log import export_log

        with work_on(self.product, clock=self.clock) as context:
            return export_log(context, out, since=since)
