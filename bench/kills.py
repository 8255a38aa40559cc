"""Row 22, last part: `kill -9` of a running service under load, again and again; nothing acknowledged is missing.

Clients predict and give feedback over HTTP, with idempotency keys, while all processes of the service are killed at
random moments; after every kill a new service goes on with the same store. Prints a JSON line per hundred kills, and at
the end how many rows were acknowledged, how many of them are missing, and how many are there twice. Exit status 1 where
there are such.

    python bench/kills.py --kills 1000
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from volant.core.product import read
from volant.serve.launch import Address, serve
from volant.serve.top import family_of
from volant.store import open_store
from volant.testing import handmade

ROW = {"age": 50, "plan": "gold"}


class Client(threading.Thread):
    """Predicts and says what is true until the service is gone; keeps what it was told, and what it is unsure of."""

    def __init__(self, address: tuple[str, int], unsure: list[tuple[str, bytes, str]]) -> None:
        super().__init__(daemon=True)
        self.predictions: list[str] = []
        self.feedback: dict[str, str] = {}
        self._address = address
        self._unsure = unsure

    def run(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=20)
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
            while True:
                self._turn(connection)
        connection.close()

    def _turn(self, connection: http.client.HTTPConnection) -> None:
        rows = json.dumps({"rows": [ROW] * random.randint(1, 3)}).encode()
        ids = [one["id"] for one in self._call(connection, "/v1/predict", rows)["predictions"]]
        self.predictions += ids
        items = [
            {"prediction_id": id, "kind": "rating", "value": "up", "idempotency_key": str(uuid.uuid4())} for id in ids
        ]
        told = self._call(connection, "/v1/feedback", json.dumps({"feedback": items}).encode())["feedback"]
        self.feedback |= {item["idempotency_key"]: receipt["id"] for item, receipt in zip(items, told, strict=True)}

    def _call(self, connection: http.client.HTTPConnection, path: str, body: bytes):
        key = str(uuid.uuid4())
        unsure = path, body, key
        self._unsure.append(unsure)
        connection.request("POST", path, body, {"content-type": "application/json", "idempotency-key": key})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise ValueError(answer.status)
        self._unsure.remove(unsure)
        return json.loads(text)


class Told:
    """Everything that was acknowledged so far."""

    def __init__(self) -> None:
        self.predictions: set[str] = set()
        self.feedback: dict[str, str] = {}
        self.unsure: list[tuple[str, bytes, str]] = []


@contextmanager
def service(folder: Path, workers: int) -> Iterator[tuple[int, tuple[str, int]]]:
    """Serve a product by processes of its own; gives the first of them, and the address."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ours)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            serve([read(folder)], Address(port=0, workers=workers), lambda told: _announce(theirs, told))
        finally:
            os._exit(1)
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as told:
            host, port = re.search(rb"http://([0-9.]+):([0-9]+)", told.readline()).groups()
        yield pid, (host.decode(), int(port))
    finally:
        kill_all(pid)
        os.waitpid(pid, 0)


def _announce(pipe: int, told: str) -> None:
    os.write(pipe, told.encode() + b"\n")
    os.close(pipe)


def kill_all(pid: int) -> None:
    """Kill a process and all that it started, at once."""
    for one in family_of(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def kill_once(folder: Path, told: Told, chance: random.Random, clients: int) -> None:
    """Serve, repeat what was unsure, load, kill everything."""
    with service(folder, 2) as (pid, address):
        repeat(address, told)
        threads = [Client(address, told.unsure) for _ in range(clients)]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.05, 0.6))
        kill_all(pid)
        for thread in threads:
            thread.join(30)
            told.predictions.update(thread.predictions)
            told.feedback |= thread.feedback


def repeat(address: tuple[str, int], told: Told) -> None:
    """What a client is unsure of it sends again, with the same key."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    for path, body, key in told.unsure:
        connection.request("POST", path, body, {"content-type": "application/json", "idempotency-key": key})
        answer = connection.getresponse()
        found = json.loads(answer.read())
        if answer.status == 200 and path == "/v1/predict":
            told.predictions.update(one["id"] for one in found["predictions"])
        elif answer.status == 200:
            items = json.loads(body)["feedback"]
            told.feedback |= {i["idempotency_key"]: r["id"] for i, r in zip(items, found["feedback"], strict=True)}
    told.unsure.clear()
    connection.close()


def judge(home: Path, told: Told) -> dict[str, int]:
    """What is missing, and what is there twice."""
    with open_store(home) as store:
        found = store.find_predictions(told.predictions)
        keys = Counter(row.idempotency_key for row in store.feedback_rows())
        ids = {row.idempotency_key: row.id for row in store.feedback_rows()}
        counts = store.counts()
    return {
        "predictions_acknowledged": len(told.predictions),
        "predictions_missing": len(told.predictions - set(found)),
        "feedback_acknowledged": len(told.feedback),
        "feedback_missing": sum(ids.get(key) != id for key, id in told.feedback.items()),
        "feedback_twice": sum(count > 1 for count in keys.values()),
        "predictions": counts["predictions"],
        "feedback": counts["feedback"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, told, begun = random.Random(options.seed), Told(), time.monotonic()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        product = handmade.make_served_product(Path(folder))
        for number in range(1, options.kills + 1):
            kill_once(product.folder, told, chance, options.clients)
            if number % 100 == 0 or number == options.kills:
                found = judge(product.home, told)
                seconds = round(time.monotonic() - begun)
                print(json.dumps({"row": "kills", "kills": number, "seconds": seconds, **found}), flush=True)
    return int(any(found[name] for name in ("predictions_missing", "feedback_missing", "feedback_twice")))


if __name__ == "__main__":
    sys.exit(main())
