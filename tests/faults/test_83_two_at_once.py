"""Fault 83: two commands that do the same to a product: the second waits, or is told who is busy."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from volant.errors import Refused
from volant.store import open_store

BUSY = """
import pathlib, sys, time
from volant.store import open_store
with open_store(pathlib.Path(sys.argv[1])) as store, store.lock("train"):
    print("busy", flush=True)
    time.sleep(1)
"""


def test_the_second_is_refused_or_waits(tmp_path):
    with open_store(tmp_path) as store:
        child = subprocess.Popen([sys.executable, "-c", BUSY, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "busy\n"
        began = time.monotonic()
        with pytest.raises(Refused) as caught, store.lock("train", wait=0.1):
            pass
        assert caught.value.exit_status == 1
        assert str(child.pid) in str(caught.value)
        with store.lock("train"):
            assert time.monotonic() - began > 0.3
        child.communicate()
