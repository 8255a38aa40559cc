"""What a candidate costs: time for one row and for a thousand, memory when loaded, bytes on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from volant.columns.media import in_hand
from volant.core.records import Batch

ROWS, FILES = 1_000, 50
"""Rows that are timed at once; of rows with files so many, reckoned up to as many."""

SHOWN = 200
MOST_SECONDS = 0.25
LEAST_CALLS = 5
LOAD_SECONDS = 60.0

_LOAD = """
import json, os, sys, time
from pathlib import Path
import numpy, onnxruntime
from volant.runtime.load import open_release
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before, started = resident(), time.perf_counter()
release = open_release(Path(sys.argv[1]))
print(json.dumps([resident() - before, time.perf_counter() - started]))
"""


@dataclass(frozen=True)
class Speed:
    """Milliseconds per call, megabytes, bytes. None where it could not be measured."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    thousand_ms: float
    rows_per_second: float
    memory_mb: float | None
    load_ms: float | None
    size_bytes: int


class Loading:
    """A release being opened in a process of its own, to see what that takes."""

    def __init__(self, folder: Path | None) -> None:
        self._process: subprocess.Popen[str] | None = None
        if folder is not None and sys.executable and Path("/proc/self/statm").exists():
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
            command = [sys.executable, "-c", _LOAD, str(folder)]
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
            )

    def __enter__(self) -> Loading:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def result(self) -> tuple[float | None, float | None]:
        """Megabytes and milliseconds, or None where the release could not be opened that way."""
        if self._process is None:
            return None, None
        try:
            said, _ = self._process.communicate(timeout=LOAD_SECONDS)
            held, seconds = json.loads(said)
        except (subprocess.TimeoutExpired, ValueError):
            return None, None
        finally:
            self._stop()
        return round(held / 1e6, 3), round(seconds * 1e3, 3)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdout is not None:
            process.kill()
            process.wait()
            process.stdout.close()


def measure_speed(
    predict: Callable[[Batch], Batch], batch: Batch, loading: Loading, *, folder: Path | None = None
) -> Speed:
    """Time calls for one row and for a thousand (rows of `batch`, repeated where it has fewer).

    Files are decoded anew each time, as in serving.
    """
    memory, load = loading.result()
    shown = {name: values[:SHOWN] for name, values in batch.items()}
    fresh = {name: in_hand(values) for name, values in shown.items()}
    files = any(fresh[name] is not values for name, values in shown.items())
    singles = [
        {name: values[i : i + 1] for name, values in fresh.items()} for i in range(len(next(iter(fresh.values()))))
    ]
    one = _times(predict, singles)
    rows, some = (FILES, fresh) if files else (ROWS, batch)
    together = {name: np.resize(values, rows) for name, values in some.items()}
    many = float(np.median(_times(predict, [together]))) * ROWS / rows
    p50, p95, p99 = (round(1e3 * float(q), 4) for q in np.quantile(one, [0.5, 0.95, 0.99]))
    return Speed(p50, p95, p99, round(1e3 * many, 3), round(ROWS / many), memory, load, size_of(folder))


def _times(predict: Callable[[Batch], Batch], batches: Sequence[Batch]) -> np.ndarray:
    """Seconds per call, the first call left out."""
    predict(batches[0])
    found: list[float] = []
    started = time.perf_counter()
    while len(found) < LEAST_CALLS or (time.perf_counter() - started < MOST_SECONDS and len(found) < 500):
        before = time.perf_counter()
        predict(batches[len(found) % len(batches)])
        found.append(time.perf_counter() - before)
    return np.array(found)


def size_of(folder: Path | None) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder else 0
