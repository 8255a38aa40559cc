"""A service in a process of its own, for as long as a block of code runs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from volant.testing.simulate import Service

START_SECONDS = 60.0
STOP_SECONDS = 30.0


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the product in `folder` on a free loopback port; gives the address, and stops the process at the end.

    Raises:
        ConnectionError: the service did not start; the message has what it said.
    """
    command = [sys.executable, "-m", "volant.testing.served", str(folder)]
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)
        try:
            yield _address(process, complaints)
        finally:
            _stop(process)


def _address(process: subprocess.Popen[str], complaints: IO[str]) -> str:
    assert process.stdout is not None
    found = re.search(r"http://\S+:\d+", process.stdout.readline())
    if found is None:
        process.wait(STOP_SECONDS)
        complaints.seek(0)
        raise ConnectionError(f"the service did not start: {complaints.read()[-2000:]}")
    return found[0]


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def wait_for_release(url: str, release: str, seconds: float = START_SECONDS) -> str:
    """Wait until that release answers, without restarting anything; gives the name it answers by.

    Raises:
        TimeoutError: another one still answers.
    """
    service, end = Service(url), time.monotonic() + seconds
    while not release.startswith(name := str(service.call("GET", "/v1/health/ready")["release"])):
        if time.monotonic() > end:
            raise TimeoutError(f"release {release[:12]} does not answer after {seconds:g} s, {name} does")
        time.sleep(0.1)
    return name


def main(folder: str) -> None:
    """Serve, and say where on standard output. The process ends with its parent."""
    from volant.core.product import read
    from volant.serve.app import run

    _end_with_parent()
    product = read(Path(folder))
    run(product, host="127.0.0.1", port=0, announce=_say)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """Ask Linux for SIGTERM when the parent dies, so that nothing is left running; elsewhere do nothing."""
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
