"""Measuring variants beside what they come from: the metric on the same rows, time in turns, memory, bytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from volant.core.records import Batch, Comparison
from volant.runtime.load import Release

REPEATS = 9
"""Turns in which both are timed, one after the other and then the other way round."""
CALLS = 20
BATCHES = (1, 2, 7)
PARITY = 1_000
"""Rows on which answers are compared with those of the original, at the least where there are so many."""


@dataclass(frozen=True)
class Measured:
    """A variant beside the original.

    Attributes:
        name: what was done.
        size_bytes: of the release.
        latency_ms: median time for one row.
        faster: the original's time over the variant's, with a 95 % interval.
        memory_mb: of the loaded release; None where it could not be measured.
        metric: on the rows that judge.
        difference: variant minus original, oriented so that more is better, with its interval.
        same: share of rows with the same answer, and `apart` the largest difference of an output.
        steady: whether answers are the same in batches of every size.
        fit: whether it may be shipped, and `why` (not).
    """

    name: str
    size_bytes: int
    latency_ms: float
    faster: tuple[float, float, float]
    memory_mb: float | None
    metric: float
    difference: tuple[float, float, float]
    same: float
    apart: float
    steady: bool
    fit: bool = False
    why: str = ""

    def record(self) -> dict[str, Any]:
        return asdict(self)


def paired_times(first: Release, second: Release, rows: Sequence[Batch]) -> tuple[float, float, tuple[float, ...]]:
    """Median milliseconds for one row of either, and how much faster the second is (ratio, low, high)."""
    ratios, times = [], ([], [])
    for turn in range(REPEATS):
        order = (0, 1, 1, 0) if turn % 2 == 0 else (1, 0, 0, 1)
        spent = [0.0, 0.0]
        for which in order:
            release = (first, second)[which]
            release.predict(rows[0])
            began = time.perf_counter()
            for call in range(CALLS):
                release.predict(rows[call % len(rows)])
            spent[which] += (time.perf_counter() - began) / CALLS
        ratios.append(spent[0] / max(spent[1], 1e-9))
        for which in (0, 1):
            times[which].append(1e3 * spent[which] / 2)
    low, high = _interval(ratios)
    return statistics.median(times[0]), statistics.median(times[1]), (statistics.median(ratios), low, high)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the median, by resampling."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), (2_000, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


def parity(original: Release, variant: Release, batch: Batch, output: str) -> tuple[float, float, bool]:
    """Share of rows with the same answer, the largest difference of the output, whether batches of any size agree."""
    said_before, said_after = original.predict(batch), variant.predict(batch)
    before, after = said_before[output], said_after[output]
    if original.signature.labels:
        answers = (said_before["labels"] == said_after["labels"]).all(axis=1)
    elif before.ndim > 1:
        answers = before.argmax(axis=1) == after.argmax(axis=1)
    else:
        answers = np.isclose(before, after, rtol=0.02)
    steady = True
    for size in BATCHES:
        few = {name: values[: 4 * size] for name, values in batch.items()}
        n = len(next(iter(few.values())))
        parts = [{name: v[i : i + size] for name, v in few.items()} for i in range(0, n, size)]
        said = np.concatenate([variant.predict(part)[output] for part in parts])
        steady &= bool(np.allclose(said, after[:n], rtol=1e-2, atol=2e-3))
    return float(answers.mean()), float(np.abs(before - after).max()), steady


def judged(measured: Measured, limits: Limits, original: Measured) -> Measured:
    """Whether a variant may be shipped: within the limits, no worse, and measurably smaller or quicker."""
    smaller = measured.size_bytes < 0.95 * original.size_bytes
    reasons = []
    if not measured.steady:
        reasons.append("its answers depend on the size of the batch")
    if not measured.difference[1] >= -limits.tolerance:
        reasons.append("it may be worse than the tolerance allows")
    if not (smaller or measured.faster[1] > 1.0):
        reasons.append("it is neither smaller nor measurably quicker")
    reasons += limits.exceeded(measured)
    return Measured(**{**vars(measured), "fit": not reasons, "why": "; ".join(reasons)})


@dataclass(frozen=True)
class Limits:
    """What a release may cost, None where not limited, and by how much its metric may fall."""

    tolerance: float
    latency_ms: float | None = None
    memory_mb: float | None = None
    size_mb: float | None = None

    def exceeded(self, found: Measured) -> list[str]:
        """What of a variant is over a limit."""
        said = []
        if self.latency_ms is not None and found.latency_ms > self.latency_ms:
            said.append("one row takes longer than quality.limits allows")
        if self.size_mb is not None and found.size_bytes > 1e6 * self.size_mb:
            said.append("it is larger than quality.limits allows")
        if self.memory_mb is not None and (found.memory_mb or 0.0) > self.memory_mb:
            said.append("it takes more memory than quality.limits allows")
        return said


def best(found: Sequence[Measured]) -> Measured | None:
    """Of the variants that may be shipped the one that is smallest and quickest, both counted alike; or none."""
    fit = [one for one in found if one.fit]
    return min(fit, key=lambda one: one.size_bytes * one.latency_ms, default=None)


def difference_of(comparison: Comparison) -> tuple[float, float, float]:
    """The difference of a paired comparison with its interval."""
    return comparison.difference, comparison.low, comparison.high
