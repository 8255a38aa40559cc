"""Fault 73: several processes use one store and write hard: they wait for each other, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys

from volant.store import open_store

PROCESSES = 4

WORKER = """
import json, pathlib, sys, time
from volant.core.ids import uuid7
from volant.core.records import Feedback, Verdict
from volant.store import FeedbackWriter, PredictionRecord, open_store

home, url, name = pathlib.Path(sys.argv[1]), sys.argv[2] or None, sys.argv[3]
done = {"predictions": 0, "feedback": 0, "datasets": 0, "verdicts": 0, "opened": 0}
deadline = time.monotonic() + 2.5
while time.monotonic() < deadline:
    with open_store(home, url) as store:  # opens and closes, as commands do beside a service
        done["opened"] += 1
        log, writer = store.prediction_log(), FeedbackWriter(store)
        for _ in range(5):
            records = [
                PredictionRecord(id=uuid7(), release=name, at="2026-01-01T00:00:00+00:00", input={"x": 1}, output={})
                for _ in range(20)
            ]
            log.append(records)
            done["predictions"] += 20
            futures = [writer.submit([Feedback(r.id, "rating", "up", name)]) for r in records]
            store.add_dataset(uuid7(), 1, {})
            done["datasets"] += 1
            store.add_verdict(Verdict(name, None, True, ()))
            done["verdicts"] += 1
            done["feedback"] += sum(len(future.result()) for future in futures)
            store.index_segments()
            assert store.counts()["feedback"] >= done["feedback"]
        writer.close()
print(json.dumps(done))
"""


def test_processes_wait_and_lose_nothing(tmp_path, store_url):
    home = tmp_path / ".volant"
    command = [sys.executable, "-c", WORKER, str(home), store_url or ""]
    children = [
        subprocess.Popen([*command, f"worker {n}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(PROCESSES)
    ]
    outcomes = [child.communicate() for child in children]
    assert [error for _, error in outcomes] == [""] * PROCESSES
    done = [json.loads(output) for output, _ in outcomes]
    with open_store(home, store_url) as store:
        counts = store.counts()
        for what in ("predictions", "feedback", "datasets", "verdicts"):
            assert counts[what] == sum(worker[what] for worker in done)
        assert len(list(store.voices())) == counts["feedback"]
    assert all(worker["opened"] >= 1 for worker in done)


def test_a_long_transaction_is_waited_for(tmp_path):
    home = tmp_path / ".volant"
    code = (
        "import pathlib, sys, time; from volant.store import open_store\n"
        "store = open_store(pathlib.Path(sys.argv[1]))\n"
        "with store._database.write() as connection:\n"
        "    print('writing', flush=True); time.sleep(1)\n"
    )
    with open_store(home) as store:
        child = subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "writing\n"
        store.add_dataset("a", 1, {})
        assert store.latest_dataset().digest == "a"
        child.communicate()
