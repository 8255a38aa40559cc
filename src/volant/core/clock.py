"""Time, randomness and machine facts, passed in instead of reached for."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Clock:
    """Wall time for records, monotonic time for budgets. Tests pass their own functions."""

    wall: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic

    def now(self) -> datetime:
        """The time now, in UTC."""
        return self.wall()


@dataclass(frozen=True)
class Machine:
    """What the machine offers: cores, bytes of memory and of disk that are free now."""

    cores: int
    memory: int
    disk: int
    cpu: str = ""

    @staticmethod
    def here(folder: Path | None = None) -> Machine:
        """This machine, limited by the control group and the CPU affinity it runs under."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        where = folder if folder is not None and folder.exists() else Path.cwd()
        return Machine(cores=cores, memory=_free_memory(), disk=shutil.disk_usage(where).free, cpu=_cpu_family())


def _free_memory() -> int:
    free = 2 * 1024**3
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        facts = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if ":" in line}
        free = facts.get("MemAvailable", free)
    except (OSError, ValueError, IndexError):
        return free
    return min(free, _group_limit(free))


def _group_limit(otherwise: int) -> int:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        return otherwise if text == "max" else max(int(text) - used, 0)
    except (OSError, ValueError):
        return otherwise


def _cpu_family() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
