"""Fault 65: `kill -9` of a process that predicts and takes feedback loses nothing that was acknowledged."""

from __future__ import annotations

import collections
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from volant.core.records import Feedback
from volant.store import open_store

WRITER = """
import itertools, os, pathlib, sys
from volant.core.ids import uuid7
from volant.core.records import Feedback
from volant.store import FeedbackWriter, PredictionRecord, open_store

def tell(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

store = open_store(pathlib.Path(sys.argv[1]), sys.argv[2] or None)
log, writer = store.prediction_log(), FeedbackWriter(store)
tell("ready")
for number in itertools.count():
    ids = [uuid7() for _ in range(3)]
    log.append([
        PredictionRecord(id=i, release="r", at="2026-01-01T00:00:00+00:00", input={"n": number}, output={"id": i})
        for i in ids
    ])
    for i in ids:
        tell("prediction", i)
    for i in ids:
        future = writer.submit([Feedback(i, "correction", 0, "ann", idempotency_key="key-" + i)])
        future.add_done_callback(lambda done, i=i: tell("feedback", i, done.result()[0].id))
    if number % 20 == 0:
        future.result()
"""


class Acknowledged:
    """What a writer told before it was killed."""

    def __init__(self) -> None:
        self.predictions: list[str] = []
        self.feedback: dict[str, str] = {}

    def take(self, lines: list[str]) -> None:
        for line in lines:
            what, *words = line.split()
            if what == "prediction":
                self.predictions.append(words[0])
            elif what == "feedback":
                self.feedback[words[0]] = words[1]


def write_until_killed(home, url, seconds: float) -> list[str]:
    """Run a writer, kill it `seconds` after it acknowledged the first feedback; the lines that it told."""
    command = [sys.executable, "-c", WRITER, str(home), url or ""]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(child.stdout))
    reader.start()
    until = time.monotonic() + 60
    while not any(line.startswith("feedback") for line in lines):  # on a busy machine that may take a while
        assert time.monotonic() < until
        time.sleep(0.005)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    reader.join()
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert all(line.endswith("\n") for line in lines)
    return lines


def kill_and_look(home, url, kills: int) -> None:
    chance = random.Random(65)
    told = Acknowledged()
    for _ in range(kills):
        told.take(write_until_killed(home, url, chance.uniform(0.02, 0.4)))
        with open_store(home, url) as store:
            found = store.find_predictions(told.predictions)
            assert set(found) == set(told.predictions)
            assert all(record.output == {"id": id} for id, record in found.items())
            rows = collections.Counter(row.prediction_id for row in store.feedback_rows())
            assert set(told.feedback) <= set(rows)
            assert set(rows.values()) <= {1}
            stored = {row.prediction_id: row.id for row in store.feedback_rows()}
            assert all(stored[prediction] == id for prediction, id in told.feedback.items())
    assert told.predictions
    assert told.feedback
    replay_everything(home, url, told)


def replay_everything(home, url, told: Acknowledged) -> None:
    """A client that repeats what it is unsure of gets its first receipts, and no row is added."""
    with open_store(home, url) as store:
        before = store.counts()
        items = [Feedback(id, "correction", 0, "ann", idempotency_key=f"key-{id}") for id in told.feedback]
        receipts = store.add_feedback(items)
        assert [receipt.id for receipt in receipts] == list(told.feedback.values())
        assert all(receipt.duplicate for receipt in receipts)
        assert store.counts() == before
        assert list((home / "segments").iterdir()) == []


def test_every_acknowledged_row_is_there_once(tmp_path):
    kill_and_look(tmp_path / ".volant", None, kills=5)


def test_every_acknowledged_row_is_there_once_on_postgres(tmp_path, postgres_server):
    kill_and_look(tmp_path / ".volant", postgres_server.new_url(), kills=2)


@pytest.mark.slow
def test_fifty_kills(tmp_path):
    kill_and_look(tmp_path / ".volant", None, kills=50)
