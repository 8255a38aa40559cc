"""Whether what answers is any good: a release that fails or is slow is taken back, a canary that does well promoted.

One process decides for all, by the figures that the others leave. It concludes nothing from few requests: the bound of
an interval must lie beyond the limit, not only the measured share.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.metrics_core import Metric

from volant.core.clock import Clock
from volant.core.product import Product, parse_duration
from volant.errors import Refused
from volant.release.traffic import Standing, standing
from volant.serve.deck import Ledger
from volant.store.history import Kind
from volant.store.records import DeploymentRow

SURE = 3.0
"""Standard errors between a measured share and its bound."""

SLOW_SHARE = 0.05
"""Share of requests that may take longer than `serve.watch.latency_ms`."""

_logger = logging.getLogger("volant.serve")


@dataclass(frozen=True)
class Seen:
    """What a release has done so far: requests, those without a usable answer, those that took too long."""

    requests: float = 0.0
    failed: float = 0.0
    slow: float = 0.0

    def since(self, before: Seen) -> Seen:
        """What it has done since then."""
        return Seen(self.requests - before.requests, self.failed - before.failed, self.slow - before.slow)


def seen(families: Iterable[Metric], product: str, latency_ms: float | None) -> dict[str, Seen]:
    """What each release of a product has done, by the figures of all processes."""
    requests: dict[str, float] = {}
    failed: dict[str, float] = {}
    within: dict[str, dict[float, float]] = {}
    for sample in (sample for family in families for sample in family.samples):
        if sample.labels.get("product") != product or "release" not in sample.labels:
            continue
        release = sample.labels["release"]
        if sample.name == "volant_model_seconds_count":
            requests[release] = sample.value
        elif sample.name == "volant_prediction_failures_total":
            failed[release] = sample.value
        elif sample.name == "volant_model_seconds_bucket":
            within.setdefault(release, {})[float(sample.labels["le"])] = sample.value
    limit = math.inf if latency_ms is None else latency_ms / 1000
    return {
        release: Seen(count, failed.get(release, 0.0), count - _within(within.get(release, {}), limit, count))
        for release, count in requests.items()
    }


def _within(buckets: Mapping[float, float], limit: float, count: float) -> float:
    """How many stayed within a limit, at least: those of the first bucket that holds all that did."""
    return next((buckets[edge] for edge in sorted(buckets) if edge >= limit), count)


class Watch:
    """Looks at what a product's releases do, and changes the history where it must."""

    def __init__(
        self, product: Product, ledger: Ledger, clock: Clock, families: Callable[[], Iterable[Metric]]
    ) -> None:
        self._product = product
        self._ledger = ledger
        self._clock = clock
        self._families = families
        self._rules = product.file.serve.watch
        self._window = parse_duration(self._rules.window)
        self._probation = parse_duration(self._rules.probation)
        self._past: deque[tuple[float, dict[str, Seen]]] = deque()

    def look(self) -> None:
        """Take back what is surely bad, and promote canaries whose time has come."""
        now = standing(self._ledger.deployments())
        done = seen(self._families(), self._product.name, self._rules.latency_ms)
        moment = self._clock.monotonic()
        self._past.append((moment, done))
        while len(self._past) > 2 and self._past[1][0] <= moment - self._window:
            self._past.popleft()
        if now.champion is None:
            return
        for event in now.arms:
            if (trouble := self._trouble(event, done)) is not None:
                self._deploy("end", event, f"{event.release[:12]} was taken back: {trouble}", now)
            elif self._is_due(event):
                count = int(done.get(event.release[:12], Seen()).requests)
                self._deploy("promote", event, f"answered {count:,} requests as a canary without trouble", now)
        self._look_at_champion(now, done)

    def _look_at_champion(self, now: Standing, done: Mapping[str, Seen]) -> None:
        champion = now.champion
        assert champion is not None
        if champion.kind != "promote" or self._age(champion) > self._probation:
            return
        trouble = self._trouble(champion, done)
        if trouble is None:
            return
        if len(now.champions) < 2:
            _logger.error("release %s: %s; there is none to go back to", champion.release[:12], trouble)
            return
        self._deploy("rollback", now.champions[-2], f"{champion.release[:12]} was taken back: {trouble}", now)

    def _trouble(self, event: DeploymentRow, done: Mapping[str, Seen]) -> str | None:
        """What is surely wrong with a release in the window, if anything."""
        name = event.release[:12]
        recent = done.get(name, Seen()).since(self._past[0][1].get(name, Seen()))
        if recent.requests < self._rules.min_requests:
            return None
        if least(recent.failed, recent.requests) > self._rules.error_rate:
            return f"{recent.failed:.0f} of {recent.requests:.0f} requests got no usable answer"
        if least(recent.slow, recent.requests) > SLOW_SHARE:
            return f"{recent.slow:.0f} of {recent.requests:.0f} requests took over {self._rules.latency_ms:g} ms"
        return None

    def _is_due(self, event: DeploymentRow) -> bool:
        after = event.facts.get("promote_after")
        return event.kind == "canary" and after is not None and self._age(event) >= float(after)

    def _age(self, event: DeploymentRow) -> float:
        return (self._clock.now() - datetime.fromisoformat(event.at)).total_seconds()

    def _deploy(self, kind: Kind, event: DeploymentRow, reason: str, now: Standing) -> None:
        assert now.champion is not None
        facts = {"automatic": True, "scores": event.facts.get("scores", {})}
        try:
            self._ledger.deploy(event.release, kind, reason, event.contract, now.champion.release, facts)
        except Refused:
            return  # somebody else was first
        _logger.warning("%s %s: %s", kind, event.release[:12], reason)


def least(count: float, of: float) -> float:
    """The lower bound of a share that was measured as `count` of so many.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927).
    """
    share, square = count / of, SURE * SURE
    middle = share + square / (2 * of)
    reach = SURE * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max((middle - reach) / (1 + square / of), 0.0)
