"""Counts and durations that are cheap to write down. What Prometheus wants is made of them when somebody asks.

A registry's own counters take a lock for each number; a request has eight of them. These are written by one thread,
that of the event loop, and read by whoever collects.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Durations:
    """How many took how long: counts by the upper edges of buckets, and the sum of seconds."""

    __slots__ = ("_counts", "_edges", "total")

    def __init__(self, edges: Sequence[float]) -> None:
        self.total = 0.0
        self._edges = edges
        self._counts = [0] * (len(edges) + 1)

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(self._edges, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """How many took at most as long as each edge."""
        found, count = [], 0
        for edge, here in zip((*map(str, self._edges), "+Inf"), self._counts, strict=True):
            count += here
            found.append((edge, float(count)))
        return found


class Count:
    """A number that grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, more: float = 1.0) -> None:
        """So many more."""
        self.value += more


class Counts(Collector):
    """A family of counts by labels."""

    def __init__(self, name: str, says: str, labels: Sequence[str]) -> None:
        self._name, self._says, self._names = name, says, list(labels)
        self._found: dict[Labels, Count] = {}

    def of(self, *labels: str) -> Count:
        """The count of these labels."""
        return self._found.setdefault(labels, Count())

    def collect(self) -> list[Metric]:
        family = CounterMetricFamily(self._name, self._says, labels=self._names)
        for labels, count in list(self._found.items()):
            family.add_metric(list(labels), count.value)
        return [family]


class Histograms(Collector):
    """A family of durations by labels."""

    def __init__(self, name: str, says: str, labels: Sequence[str], edges: Sequence[float]) -> None:
        self._name, self._says, self._names, self._edges = name, says, list(labels), tuple(edges)
        self._found: dict[Labels, Durations] = {}

    def of(self, *labels: str) -> Durations:
        """The durations of these labels."""
        return self._found.setdefault(labels, Durations(self._edges))

    def collect(self) -> list[Metric]:
        family = HistogramMetricFamily(self._name, self._says, labels=self._names)
        for labels, durations in list(self._found.items()):
            family.add_metric(list(labels), durations.buckets(), durations.total)
        return [family]
