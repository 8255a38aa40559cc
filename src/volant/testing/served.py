"""A service in a process of its own, as users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from volant.testing.simulate import Service

PATIENCE_SECONDS = 60


class Served:
    """A running `volant serve`: its address and its process."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and give the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def served(folder: Path, *options: str, pinned: Sequence[int] = ()) -> Iterator[Served]:
    """Serve the product in `folder` on a free port until the block is left.

    Args:
        folder: where the product file is.
        options: further options of `volant serve`.
        pinned: cores to keep the process on; all by default.

    Raises:
        RuntimeError: it did not start; with what it said.
    """
    command = [sys.executable, "-m", "volant.cli.main", "-C", str(folder), "--json", "serve", "--port", "0", *options]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)
        if pinned:
            os.sched_setaffinity(process.pid, pinned)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if b'"url"' not in line:
                process.wait(PATIENCE_SECONDS)
                said.seek(0)
                raise RuntimeError(f"the service did not start: {line.decode()} {said.read().decode()}")
            yield Served(process, json.loads(line)["url"])
        finally:
            Served(process, "").stop()
            if process.stdout is not None:
                process.stdout.close()


def wait_for_release(url: str, release: str, seconds: float = PATIENCE_SECONDS) -> str:
    """Wait until that release answers in every process, without restarting anything; gives the name it answers by.

    Raises:
        TimeoutError: another one still answers.
    """
    service, end = Service(url), time.monotonic() + seconds
    while True:
        found = service.call("GET", "/v1/health/ready")
        name = str(found["release"])
        if release.startswith(name) and found["settled"]:
            return name
        if time.monotonic() > end:
            raise TimeoutError(f"release {release[:12]} does not answer after {seconds:g} s, {name} does")
        time.sleep(0.1)
