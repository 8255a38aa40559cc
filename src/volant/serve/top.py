"""`volant top`: what the running services of a product do right now, from the figures that their processes leave."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric

from volant.serve.launch import running
from volant.serve.metrics import merged, snapshots

QUANTILES = (0.5, 0.95, 0.99)
_Sums = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True)
class Reading:
    """The figures of a service at a moment."""

    at: float
    facts: Mapping[str, Any]
    samples: _Sums


@dataclass(frozen=True)
class Line:
    """What one path did per second between two readings, and how long it took, in milliseconds."""

    path: str
    requests: float
    errors: float
    quantiles: tuple[float | None, ...]


@dataclass(frozen=True)
class Scene:
    """Everything that is shown of one service."""

    facts: Mapping[str, Any]
    seconds: float
    lines: tuple[Line, ...]
    rows: Mapping[str, float]
    shares: Mapping[str, float]
    gauges: Mapping[str, float]
    memory_mb: float
    processes: int
    feedback: float = 0.0
    ready: bool = True

    def record(self) -> dict[str, Any]:
        """The same as plain data."""
        lines = [
            {
                "path": line.path,
                "requests_per_second": round(line.requests, 2),
                "errors_per_second": round(line.errors, 2),
                **{f"p{q * 100:g}_ms": ms for q, ms in zip(QUANTILES, line.quantiles, strict=True)},
            }
            for line in self.lines
        ]
        return {
            "url": self.facts.get("url"),
            "pid": self.facts.get("pid"),
            "since": self.facts.get("since"),
            "ready": self.ready,
            "processes": self.processes,
            "memory_mb": round(self.memory_mb, 1),
            "paths": lines,
            "rows_per_second": {name: round(value, 2) for name, value in self.rows.items()},
            "feedback_per_second": round(self.feedback, 2),
            "shares": dict(self.shares),
            "gauges": dict(self.gauges),
        }


def look(home: Path) -> list[Reading]:
    """The figures of every service of the product that runs on this machine."""
    return [Reading(time.monotonic(), facts, _sums(Path(facts["folder"]))) for facts in running(home)]


def scenes(before: Sequence[Reading], now: Sequence[Reading]) -> list[Scene]:
    """What the services that are in both lists did in between."""
    earlier = {reading.facts["pid"]: reading for reading in before}
    return [_scene(earlier[one.facts["pid"]], one) for one in now if one.facts["pid"] in earlier]


def _sums(folder: Path) -> _Sums:
    families: Iterable[Metric] = merged(snapshots(folder))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def _scene(before: Reading, now: Reading) -> Scene:
    seconds = max(now.at - before.at, 1e-6)
    delta = {key: value - before.samples.get(key, 0.0) for key, value in now.samples.items()}
    pids = family_of(int(now.facts["pid"]))
    return Scene(
        facts=now.facts,
        seconds=seconds,
        lines=tuple(_lines(delta, seconds)),
        rows={labels["release"]: value / seconds for labels, value in _of(delta, "volant_predictions_total")},
        shares={labels["release"]: value for labels, value in _of(now.samples, "volant_release") if value},
        gauges={
            name: sum(value for _, value in _of(now.samples, f"volant_{name}"))
            for name in ("connections_open", "waiting_rows", "log_waiting_rows", "shadow_dropped_rows")
        },
        memory_mb=sum(memory_of(pid) for pid in pids),
        processes=len(pids),
        feedback=sum(value for _, value in _of(delta, "volant_feedback_total")) / seconds,
        ready=all(value for _, value in _of(now.samples, "volant_ready")),
    )


def _of(samples: Mapping[Any, float], name: str) -> list[tuple[dict[str, str], float]]:
    return [(dict(labels), value) for (sample, labels), value in samples.items() if sample == name]


@dataclass
class _Path:
    requests: float = 0.0
    errors: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)


def _lines(delta: Mapping[Any, float], seconds: float) -> Iterable[Line]:
    paths: dict[str, _Path] = {}
    for labels, value in _of(delta, "volant_requests_total"):
        found = paths.setdefault(labels["path"], _Path())
        found.requests += value
        found.errors += value if labels["status"].startswith("5") else 0.0
    for labels, value in _of(delta, "volant_request_seconds_bucket"):
        buckets = paths.setdefault(labels["path"], _Path()).buckets
        bound = float(labels["le"])
        buckets[bound] = buckets.get(bound, 0.0) + value
    for name, found in sorted(paths.items(), key=lambda one: -one[1].requests):
        if found.requests:
            told = tuple(quantile(found.buckets, q) for q in QUANTILES)
            yield Line(name, found.requests / seconds, found.errors / seconds, told)


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """Milliseconds below which a share of the requests stayed, read between the bounds of a histogram."""
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    wanted, low, below = q * buckets[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if bound == float("inf"):
                return round(low * 1000, 3)
            inside = buckets[bound] - below
            return round((low + (bound - low) * ((wanted - below) / inside if inside else 1.0)) * 1000, 3)
        low, below = bound, buckets[bound]
    return None


def family_of(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            above = int(entry.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        parents.setdefault(above, []).append(int(entry.parent.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += parents.get(one, [])
    return found


def memory_of(pid: int) -> float:
    """Megabytes that are a process's own: what it shares with its siblings is counted once among them."""
    try:
        for line in (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1000
        return int((Path("/proc") / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0
