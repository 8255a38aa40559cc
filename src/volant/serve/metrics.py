"""What `/metrics` says, in the words of Prometheus. Labels never hold what a caller sent."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from volant.serve.deck import Slot, release_facts

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters and histograms of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        here = self.registry
        self._requests = Counter("volant_requests", "Requests answered", ["method", "path", "status"], registry=here)
        self._seconds = Histogram(
            "volant_request_seconds", "Seconds from headers to answer", ["path"], buckets=_SECONDS, registry=here
        )
        self._predictions = Counter("volant_predictions", "Rows predicted", ["release"], registry=here)
        self._model = Histogram(
            "volant_model_seconds", "Seconds in the model per request", ["release"], buckets=_SECONDS, registry=here
        )
        self._feedback = Counter("volant_feedback", "Feedback acknowledged", ["kind", "outcome"], registry=here)
        named = ["release", "contract", "task"]
        self._release = Gauge("volant_release", "The release that answers", named, registry=here)
        self.swaps = Counter("volant_release_swaps", "Releases taken into service", registry=here)
        self.failures = Counter("volant_background_failures", "Background work that failed", ["work"], registry=here)

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """One request was answered. `path` is a known path or `other`."""
        self._requests.labels(method, path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def predicted(self, release: str, rows: int, seconds: float) -> None:
        self._predictions.labels(release).inc(rows)
        self._model.labels(release).observe(seconds)

    def acknowledged(self, kind: str, duplicate: bool) -> None:
        self._feedback.labels(kind, "duplicate" if duplicate else "stored").inc()

    def serving(self, slot: Slot) -> None:
        """A release was taken into service."""
        self._release.clear()
        self._release.labels(**release_facts(slot)).set(1)
        self.swaps.inc()

    def watch(self, name: str, says: str, read: Callable[[], float]) -> None:
        """A gauge that is read when somebody asks."""
        self.registry.register(_Read(name, says, read))

    def text(self) -> bytes:
        """Everything in the text format."""
        return generate_latest(self.registry)


class _Read(Collector):
    def __init__(self, name: str, says: str, read: Callable[[], float]) -> None:
        self._name, self._says, self._value = name, says, read

    def collect(self) -> list[GaugeMetricFamily]:
        return [GaugeMetricFamily(self._name, self._says, value=self._value())]
