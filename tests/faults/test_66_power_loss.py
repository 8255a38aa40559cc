"""66, 68: what was acknowledged survives the loss of all that was not flushed; failing flushes end the promises."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time

import httpx
import pytest
from tests.faults.lossy import LossyDisk

from volant.serve.top import family_of
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

ROW = {"age": 50, "plan": "gold"}


@pytest.fixture
def product(tmp_path):
    return handmade.make_served_product(tmp_path / "product")


@pytest.fixture
def disk(product, tmp_path, monkeypatch):
    """Processes that are started from now on write to a disk that forgets."""
    made = LossyDisk(product.home, tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


class Acknowledged:
    """Clients that predict and say what is true until the service is gone, and keep what they were told."""

    def __init__(self, service, clients: int = 4) -> None:
        self.predictions: list[tuple[float, str]] = []
        self.feedback: list[str] = []
        self._url = service.url
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        with contextlib.suppress(httpx.HTTPError, json.JSONDecodeError), httpx.Client(base_url=self._url) as client:
            while True:
                answer = client.post("/v1/predict", json={"rows": [ROW] * 3})
                ids = [one["id"] for one in answer.json()["predictions"]]
                self.predictions += [(time.monotonic(), id) for id in ids]
                said = [{"prediction_id": id, "kind": "rating", "value": "up"} for id in ids]
                receipts = client.post("/v1/feedback", json={"feedback": said}).json()["feedback"]
                self.feedback += [receipt["id"] for receipt in receipts]

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


def test_66_power_loss(product, disk):
    """Every acknowledged feedback is there, and every prediction but those of the last milliseconds."""
    for _ in range(2):
        with served(product.folder, "--workers", "2") as service:
            told = Acknowledged(service)
            time.sleep(2.5)
            dead = time.monotonic()
            for pid in family_of(service.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            told.wait()
        assert told.feedback
        lost = disk.lose_power()
        with open_store(product.home) as store:
            kept = {row.id for row in store.feedback_rows()}
            assert set(told.feedback) <= kept, f"{len(set(told.feedback) - kept)} acknowledged answers are gone"
            flushed = [id for at, id in told.predictions if at < dead - 0.5]
            assert set(store.find_predictions(flushed)) == set(flushed)
        assert lost, "nothing was under way: the test proves nothing"


def test_the_disk_forgets_what_was_not_flushed(product, disk, tmp_path):
    """The double itself, so that the test above can fail."""
    import subprocess
    import sys

    path = product.home / "x"
    code = "import os, sys; d = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); os.write(d, b'kept'); os.fsync(d); "
    code += "os.pwrite(d, b'LOST', 0); os.write(d, b' more'); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert path.read_bytes() == b"LOST more"
    assert disk.lose_power() >= 2
    assert path.read_bytes() == b"kept"


def test_68_flushes_fail(product, disk):
    """Nothing is acknowledged that could not be flushed; and as nobody knows what is on the disk, it stays so."""
    with served(product.folder, "--workers", "1") as service, httpx.Client(base_url=service.url, timeout=60) as client:
        [good] = client.post("/v1/predict", json={"row": ROW}).json()["predictions"]
        disk.break_flushes()
        client.post("/v1/predict", json={"row": ROW})
        said = {"feedback": [{"prediction_id": good["id"], "kind": "rating", "value": "up"}]}
        answer = client.post("/v1/feedback", json=said)
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        until = time.monotonic() + 30
        while client.post("/v1/predict", json={"row": ROW}).status_code != 503:
            assert time.monotonic() < until
        assert client.get("/v1/health/ready").status_code == 503
        assert client.get("/v1/health/live").status_code == 200
        disk.mend_flushes()
        time.sleep(1.5)
        assert client.post("/v1/predict", json={"row": ROW}).status_code == 503, "it does not go on by itself"
    with open_store(product.home) as store:
        assert set(store.find_predictions([good["id"]])) == {good["id"]}
