"""What `/metrics` says, in the words of Prometheus. Labels never hold what a caller sent.

Each process counts for itself and leaves a snapshot of its figures in a folder once a second; whichever process is
asked puts its own and the snapshots of the others together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from volant.serve.tally import Count, Counts, Durations, Histograms

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SNAPSHOT_SECONDS = 1.0
FACTS = ("release", "contract", "task", "policy")
"""What names a release that answers."""

_SUFFIX = ".figures"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Figures:
    """The figures of one process, in a registry of its own.

    Args:
        folder: where the processes of a service leave their snapshots; without one this process is alone.
        process: the number of this process among them.
    """

    def __init__(self, folder: Path | None = None, process: int = 0) -> None:
        self.registry = CollectorRegistry()
        self._folder = folder
        self._process = process
        here = self.registry
        named = ["method", "path", "status"]
        self._requests = Counts("volant_requests", "Requests answered", named)
        self._seconds = Histograms("volant_request_seconds", "Seconds from headers to answer", ["path"], _SECONDS)
        released = ["product", "release"]
        self.predictions = Counts("volant_predictions", "Rows predicted", released)
        self.model = Histograms("volant_model_seconds", "Seconds in the model per request", released, _SECONDS)
        for collector in (self._requests, self._seconds, self.predictions, self.model):
            here.register(collector)
        self.refusals = Counter(
            "volant_prediction_failures", "Requests whose model gave no answer", released, registry=here
        )
        self.feedback = Counter(
            "volant_feedback", "Feedback acknowledged", ["product", "kind", "outcome"], registry=here
        )
        self.release = Gauge(
            "volant_release", "The share of requests a release answers", ["product", *FACTS], registry=here
        )
        self.swaps = Counter("volant_release_swaps", "Releases taken into service", ["product"], registry=here)
        self.failures = Counter(
            "volant_background_failures", "Background work that failed", ["product", "work"], registry=here
        )
        self._answered: dict[tuple[str, str, int], tuple[Count, Durations]] = {}

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """One request was answered. `path` is a known path or `other`."""
        found = self._answered.get((method, path, status))
        if found is None:
            found = self._requests.of(method, path, str(status)), self._seconds.of(path)
            self._answered[method, path, status] = found
        found[0].add()
        found[1].add(seconds)

    def watch(self, name: str, says: str, read: Callable[[], float], **labels: str) -> None:
        """A gauge that is read when somebody asks."""
        self.registry.register(_Read(name, says, read, labels))

    def text(self) -> bytes:
        """Everything in the text format, of all processes."""
        found = merged([list(self.registry.collect()), *self._others()])
        registry = CollectorRegistry()
        registry.register(_Given(found))
        return generate_latest(registry)

    def leave_snapshot(self) -> None:
        """Leave the figures of this process for the others."""
        if self._folder is None:
            return
        fresh = self._folder / f"{self._process}.writing"
        fresh.write_bytes(msgspec.msgpack.encode([_plain(family) for family in self.registry.collect()]))
        fresh.replace(self._folder / f"{self._process}{_SUFFIX}")

    def _others(self) -> Iterable[list[Metric]]:
        return snapshots(self._folder, besides=self._process) if self._folder is not None else ()


class ProductFigures:
    """The figures of one product among them. Labels are looked up once."""

    def __init__(self, figures: Figures, product: str) -> None:
        self._figures = figures
        self._product = product
        self._predicted: dict[str, tuple[Count, Durations, Any]] = {}
        self._said: dict[tuple[str, bool], Any] = {}
        self._serving: list[tuple[str, ...]] = []

    def predicted(self, release: str, rows: int, seconds: float, *, failed: bool = False) -> None:
        """A request of so many rows took so long in a model, which may have failed."""
        found = self._predicted.get(release)
        if found is None:
            every, here = self._figures, (self._product, release)
            found = every.predictions.of(*here), every.model.of(*here), every.refusals.labels(*here)
            self._predicted[release] = found
        found[0].add(rows)
        found[1].add(seconds)
        if failed:
            found[2].inc()

    def acknowledged(self, kind: str, duplicate: bool) -> None:
        """A piece of feedback was acknowledged."""
        found = self._said.get((kind, duplicate))
        if found is None:
            outcome = "duplicate" if duplicate else "stored"
            found = self._said[kind, duplicate] = self._figures.feedback.labels(self._product, kind, outcome)
        found.inc()

    def serving(self, shares: Iterable[tuple[Mapping[str, str], float]]) -> None:
        """Who answers now: the facts of each release, and its share of the requests."""
        gauge, before, self._serving = self._figures.release, self._serving, []
        for facts, share in shares:
            self._serving.append((self._product, *(facts[name] for name in FACTS)))
            gauge.labels(*self._serving[-1]).set(share)
        for labels in set(before) - set(self._serving):
            gauge.remove(*labels)
        self._figures.swaps.labels(self._product).inc()

    def failed(self, work: str) -> None:
        """Work in the background failed."""
        self._figures.failures.labels(self._product, work).inc()

    def watch(self, name: str, says: str, read: Callable[[], float]) -> None:
        """A gauge of this product."""
        self._figures.watch(name, says, read, product=self._product)


class _Read(Collector):
    def __init__(self, name: str, says: str, read: Callable[[], float], labels: Mapping[str, str]) -> None:
        self._name, self._says, self._value, self._labels = name, says, read, labels

    def describe(self) -> list[Metric]:
        return []  # several products have a gauge of the same name

    def collect(self) -> list[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._says, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), self._value())
        return [family]


class _Given(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def merged(processes: Iterable[Iterable[Metric]]) -> list[Metric]:
    """The families of several processes as one: counts are added up, of gauges the largest is taken.

    Gauges whose name ends in `_rows`, `_bytes` or `_open` are amounts, and are added up too.
    """
    families: dict[str, Metric] = {}
    samples: dict[str, _Samples] = {}
    for process in processes:
        for family in process:
            families.setdefault(family.name, family)
            adds = family.type != "gauge" or family.name.endswith(("_rows", "_bytes", "_open"))
            _merge(samples.setdefault(family.name, {}), family, adds)
    return [_family(families[name], samples[name]) for name in families]


def _merge(into: _Samples, family: Metric, adds: bool) -> None:
    for sample in family.samples:
        if sample.name.endswith("_created"):
            continue  # when a process first counted something says nothing of all of them
        key = sample.name, tuple(sorted(sample.labels.items()))
        before = into.get(key)
        if before is None:
            into[key] = sample.value
        else:
            into[key] = before + sample.value if adds else max(before, sample.value)


def _family(like: Metric, samples: _Samples) -> Metric:
    made = Metric(like.name, like.documentation, like.type)
    made.samples = [Sample(name, dict(labels), value) for (name, labels), value in samples.items()]
    return made


def _plain(family: Metric) -> tuple[str, str, str, list[tuple[str, dict[str, str], float]]]:
    samples = [(sample.name, dict(sample.labels), float(sample.value)) for sample in family.samples]
    return family.name, family.documentation, family.type, samples


def snapshots(folder: Path, besides: int | None = None) -> Iterator[list[Metric]]:
    """The figures that processes left in a folder, besides those of one of them."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        if path.stem != str(besides):
            yield read_snapshot(path)


def read_snapshot(path: Path) -> list[Metric]:
    """The figures that a process left; none where it is just being replaced."""
    try:
        listed = msgspec.msgpack.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return []
    families = []
    for name, documentation, kind, samples in listed:
        family = Metric(name, documentation, kind)
        family.samples = [Sample(sample, labels, value) for sample, labels, value in samples]
        families.append(family)
    return families
