"""Ctrl-C ends a command soon, whatever it is doing."""

import os
import signal
import subprocess
import sys
import time

import pytest

from volant.cli.stopping import GRACE_SECONDS

BUSY = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from volant.cli.faults import interrupted
from volant.cli.shell import Shell
try:
    with Shell(None, "--json" in sys.argv).progress():
        with ThreadPoolExecutor(1) as pool:  # waits for its threads, as lanes of fits do
            running = pool.submit(time.sleep, SECONDS)
            print("busy", flush=True)
            running.result()
except KeyboardInterrupt:
    sys.exit(interrupted("--json" in sys.argv))
"""


def begin(seconds, *words):
    def heeds():
        signal.signal(signal.SIGINT, signal.default_int_handler)

    code = BUSY.replace("SECONDS", str(seconds))
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeds,
    )
    assert process.stdout.readline() == "busy\n"
    return process


@pytest.mark.parametrize("times", [1, 2])
def test_what_cannot_be_asked_to_stop_keeps_nobody_waiting(times):
    process = begin(600)
    for _ in range(times):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.3)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.count("stopped; what was finished is kept") == 1
    assert "Traceback" not in told


def test_what_ends_in_time_ends_in_order():
    process = begin(GRACE_SECONDS / 10, "--json")
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out.count('"interrupted"') == 1
