"""53 to 58 and 64: processes that predict may be late, killed, short of memory or gone; nobody else suffers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from volant.core.records import Pipeline, Step
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

pytestmark = pytest.mark.slow  # deadlines tell nothing while other tests take the processors

ROW = {"age": 50, "plan": "gold"}
TEXT = handmade.FILE_TEXT + "[serve]\ndeadline_ms = 10000\nmodel_memory_mb = 800\n"
WIDTHS = (100_000, 100_000, *[8] * 10)


def slow_pipeline() -> Pipeline:
    """The usual answers after some milliseconds of work for every request, and work that grows with `plan`.

    The former keeps every request from the event loop on any machine; of the latter a row takes 0.8 MB of memory.
    """
    usual, exp = handmade.pipeline(), {"factor": 1.0, "offset": 0.0, "low": 0.0, "high": 1.0}
    waste = [Step("exp", ("age",), f"e{n}", exp) for n in range(1500)]
    waste += [
        Step("hash_ngrams", ("plan",), f"w{n}", {"size": wide, "low": 1, "high": 8}) for n, wide in enumerate(WIDTHS)
    ]
    return Pipeline((*waste, *usual.steps), usual.outputs)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A model that takes some milliseconds for every request, so that all of them leave the event loop."""
    product = handmade.make_product(tmp_path_factory.mktemp("slow"), TEXT)
    with open_store(product.home) as store:
        handmade.promote(store, handmade.write_release(product.home, slow_pipeline()))
    with served(product.folder, "--workers", "1") as running:
        running.product = product
        assert model_processes(running), "the model answers in the event loop"
        yield running


@pytest.fixture
def client(service):
    """A client; afterwards the service must still answer others, in order."""
    with httpx.Client(base_url=service.url, timeout=60) as made:
        yield made
    eventually(lambda: httpx.post(service.url + "/v1/predict", json={"row": ROW}, timeout=60).status_code == 200)


def eventually(holds, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.1)


def hang(length: int = 400_000) -> dict:
    """A row that takes a model much longer than the deadline."""
    return {"age": 50, "plan": "x" * length}


def model_processes(service) -> list[int]:
    """The processes that predict for this service."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"volant.serve.modelprocess" in (folder / "cmdline").read_bytes():
                above = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
                if service.process.pid == above:
                    found.append(int(folder.name))
    return found


def logged(service) -> int:
    with open_store(service.product.home) as store:
        return store.counts()["predictions"]


def test_54_a_prediction_over_its_deadline(service, client):
    """It is refused in time and its process ended; nine others that came meanwhile are answered by a new one."""
    before = model_processes(service)
    with ThreadPoolExecutor(10) as pool:
        slow = pool.submit(client.post, "/v1/predict", json={"row": hang()})
        time.sleep(9.0)
        others = pool.map(lambda _: client.post("/v1/predict", json={"row": ROW}).status_code, range(9))
        answer = slow.result()
        assert answer.status_code == 504, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "deadline"
        assert set(others) == {200}
    assert not set(model_processes(service)) & set(before)


def test_56_one_bad_item_in_a_batch(service, client):
    rows = [ROW, {"age": "old"}, {"age": 1, "plan": "gold"}, {"age": None, "hight": 1}, ROW] * 4
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda row: httpx.post(service.url + "/v1/predict", json={"row": row}, timeout=60), rows)
        )
    assert [answer.status_code for answer in answers] == [200, 422, 200, 422, 200] * 4
    ids = {answer.json()["predictions"][0]["id"] for answer in answers if answer.status_code == 200}
    assert len(ids) == 12


def test_57_killed_in_the_middle_of_a_batch(service, client):
    """Nothing hangs, nothing is told twice, a new process takes over."""
    before = logged(service)
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(client.post, "/v1/predict", json={"rows": [ROW] * 10}) for _ in range(16)]
        time.sleep(0.3)
        killed = model_processes(service)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        answers = [one.result() for one in asked]
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert [answer.status_code for answer in answers].count(200) > 8
    good = [one["id"] for answer in answers if answer.status_code == 200 for one in answer.json()["predictions"]]
    with open_store(service.product.home) as store:
        assert set(store.find_predictions(good)) == set(good)
    assert logged(service) >= before + len(good)
    assert killed
    assert not set(killed) & set(model_processes(service))


def test_58_no_process_that_can_predict(service, client):
    """Readiness says so as long as none can be started, and mends itself."""
    [folder] = (service.product.home / "candidates").iterdir()
    away = folder.with_name("away")
    folder.rename(away)
    try:
        for pid in model_processes(service):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: client.get("/v1/health/ready").status_code == 503)
        answer = client.post("/v1/predict", json={"row": ROW})
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert client.get("/v1/health/live").status_code == 200
    finally:
        away.rename(folder)
    eventually(lambda: client.get("/v1/health/ready").status_code == 200)


def test_53_the_queue_is_full(service, client):
    """What comes beyond the queue is refused at once, before any work; the rest is answered in time."""
    body = json.dumps({"row": ROW}).encode()
    head = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n"
    request = head + b"content-length: %d\r\n\r\n" % len(body) + body
    before = logged(service)
    with ThreadPoolExecutor(1) as pool, contextlib.ExitStack() as stack:
        slow = pool.submit(client.post, "/v1/predict", json={"row": hang()})
        time.sleep(0.5)
        waiting = [stack.enter_context(socket.create_connection(service.address, timeout=60)) for _ in range(400)]
        for one in waiting:
            one.sendall(request)
        answers = [whole(one) for one in waiting]
        assert slow.result().status_code == 504
    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
    taken = [answer for answer in answers if answer.startswith(b"HTTP/1.1 200 ")]
    assert len(refused) >= 400 - 256 - 20
    assert all(b"\r\nretry-after: " in answer for answer in refused)
    assert len(refused) + len(taken) + sum(a.startswith(b"HTTP/1.1 504 ") for a in answers) == 400
    eventually(lambda: httpx.get(service.url + "/v1/health/ready").status_code == 200)
    assert logged(service) >= before + len(taken)


def whole(connection) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_55_a_client_that_is_gone(service, client):
    """What a process works on already is logged, though nobody waits for it."""
    before = logged(service)
    body = json.dumps({"rows": [ROW] * 20}).encode()
    head = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(service.address) as connection:
        connection.sendall(head % len(body) + body)
        time.sleep(0.1)
    eventually(lambda: logged(service) in (before, before + 20))
    assert client.post("/v1/predict", json={"row": ROW}).status_code == 200


def test_64_out_of_memory(service, client):
    """2,000 rows take 1.6 GB at once, and a process may have 0.8: they are predicted in smaller batches."""
    answer = client.post("/v1/predict", json={"rows": [{"age": 50}] * 2000})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 2000
