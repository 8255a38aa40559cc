from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from volant.errors import Refused
from volant.store import open_store

HOLDER = """
import sys, time, pathlib
from volant.store import open_store
with open_store(pathlib.Path(sys.argv[1]), sys.argv[2] or None) as store, store.lock("train"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(store, store_url, tmp_path):
    """Another process that holds the lock `train`."""

    def start(home=None):
        command = [sys.executable, "-c", HOLDER, str(home or store.home), store_url or ""]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    started: list[subprocess.Popen] = []
    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_second_is_refused_and_told_who_is_busy(store, holder):
    other = holder()
    with pytest.raises(Refused) as caught, store.lock("train", wait=0):
        pass
    assert caught.value.code == "busy"
    assert f"process {other.pid} " in str(caught.value)
    assert f"process {other.pid} " in store.lock_holder("train")
    assert "since 20" in store.lock_holder("train")


def test_a_killed_holder_lets_go(store, holder):
    other = holder()
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    with store.lock("train", wait=5):
        assert f"process {os.getpid()} " in store.lock_holder("train")
    assert store.lock_holder("train") is None


def test_waiting_is_told_and_ends_with_the_holder(store, holder):
    other = holder()
    said = []

    class Told:
        def stage(self, name, total=None): ...
        def advance(self, done, note=""): ...
        def say(self, text):
            said.append(text)
            other.kill()

    with store.lock("train", progress=Told()):
        pass
    assert len(said) == 1
    assert f"process {other.pid} " in said[0]


def test_locks_of_other_names_are_free(store, holder):
    holder()
    with store.lock("improve", wait=0):
        pass
    assert store.lock_holder("improve") is None


def test_threads_of_one_process_exclude_each_other(store):
    inside, most = 0, 0
    guard = threading.Lock()

    def work():
        nonlocal inside, most
        with store.lock("train"):
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_lock_is_free_after_an_error(store):
    with pytest.raises(RuntimeError, match="inside"), store.lock("train"):
        raise RuntimeError("inside")
    assert store.lock_holder("train") is None


def test_asking_who_holds_a_lock_never_makes_it_busy(store):
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            store.lock_holder("train")

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(50):
            with store.lock("train", wait=0):
                pass
    finally:
        stop.set()
        asker.join()


def test_names_are_plain_words(store):
    for name in ("", "../x", "A B"):
        with pytest.raises(ValueError, match="no name"), store.lock(name):
            pass


def test_on_postgres_another_machine_is_excluded_too(tmp_path, postgres_server):
    url = postgres_server.new_url()
    with open_store(tmp_path / "here", url) as here, open_store(tmp_path / "there", url) as there:
        with here.lock("train"):
            assert f"process {os.getpid()} " in there.lock_holder("train")
            with pytest.raises(Refused) as caught, there.lock("train", wait=0):
                pass
            assert f"process {os.getpid()} " in str(caught.value)
        assert there.lock_holder("train") is None
        with there.lock("train", wait=0):
            pass
