"""What the processes of a service know of each other: a few numbers in memory that all of them share."""

from __future__ import annotations

import mmap
import struct
import time

_CELL = struct.Struct("<dqq")
"""When the process last gave a sign of life, which deployment it serves, how many connections it holds."""


class Board:
    """One cell per process, which that process alone writes. It is made before the processes are forked."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._memory = mmap.mmap(-1, max(processes, 1) * _CELL.size)

    def write(self, process: int, deployment: int, connections: int) -> None:
        """A sign of life of a process."""
        _CELL.pack_into(self._memory, process * _CELL.size, time.monotonic(), deployment, connections)

    def clear(self, process: int) -> None:
        """The process is gone."""
        _CELL.pack_into(self._memory, process * _CELL.size, 0.0, 0, 0)

    def silent(self, process: int) -> float:
        """Seconds since the last sign of life of a process; 0 where it never gave one."""
        last = _CELL.unpack_from(self._memory, process * _CELL.size)[0]
        return max(time.monotonic() - last, 0.0) if last else 0.0

    def settled(self, deployment: int) -> bool:
        """Whether every process that lives serves that deployment."""
        cells = [_CELL.unpack_from(self._memory, place * _CELL.size) for place in range(self.processes)]
        return all(serves == deployment for last, serves, _ in cells if last)
