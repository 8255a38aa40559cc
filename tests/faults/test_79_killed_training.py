"""Killed during training: the next run goes on from what was finished, with the same result."""

import os
import signal
import subprocess
import sys
import time

from tests.products import product

SCRIPT = "import sys, volant; print(volant.open(sys.argv[1]).train().candidate)"


def start(folder):
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True)


def finished_fits(handle):
    return sorted((handle.product.home / "runs").glob("*/fits/[!.]*/fit.json"))


def test_79_a_killed_run_is_resumed_with_the_same_result(tmp_path):
    whole, cut = (product(tmp_path / name, budget="13 units") for name in ("whole", "cut"))
    expected = start(whole.product.folder).communicate()[0].strip()
    process = start(cut.product.folder)
    deadline = time.monotonic() + 120
    while len(finished_fits(cut)) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in finished_fits(cut)}
    assert 3 <= len(kept) < len(finished_fits(whole))
    assert cut.status().champion is None
    assert start(cut.product.folder).communicate()[0].strip() == expected
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list((cut.product.home / "runs").iterdir())) == 1
    assert cut.status().champion == expected
