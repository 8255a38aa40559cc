"""The whole wheel with its ledger in PostgreSQL: the same commands, `store.url` apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pyarrow.csv
import pytest
from tests.e2e.test_wheel import split_product

from volant.errors import VolantError
from volant.testing.served import served
from volant.wheel.handle import ProductHandle


@pytest.fixture
def elsewhere(tmp_path, postgres_server, monkeypatch):
    """A product whose ledger is in PostgreSQL, under a URL with a password; traffic, and its labels."""
    monkeypatch.setenv("LEDGER", postgres_server.new_url())
    handle, rows, labels = split_product(tmp_path, 250)
    file = handle.product.folder / "volant.toml"
    file.write_text(file.read_text() + '[store]\nurl = "${LEDGER}"\n')
    return ProductHandle.at(handle.product.folder), rows, labels


def volant(handle: ProductHandle, *words: str) -> tuple[int, dict]:
    done = subprocess.run(
        [sys.executable, "-m", "volant.cli.main", "-C", str(handle.product.folder), *words, "--json"],
        capture_output=True,
        text=True,
    )
    assert "s3cret" not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def ready(client: httpx.Client) -> str:
    return client.get("/v1/health/ready").json()["release"]


def wait_for(client: httpx.Client, release: str) -> None:
    until = time.monotonic() + 20
    while ready(client) != release[:12]:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_wheel_turns_with_its_ledger_in_postgresql(elsewhere, tmp_path):
    handle, rows, labels = elsewhere
    status, trained = volant(handle, "train", "--budget", "1 units")
    assert (status, trained["promoted"]) == (0, True)
    assert not (handle.product.home / "store.sqlite").exists()
    with served(handle.product.folder) as service, httpx.Client(base_url=service.url, timeout=30) as client:
        assert ready(client) == trained["candidate"][:12]
        answers = client.post("/v1/predict", json={"rows": rows}).json()["predictions"]
        said = [
            {"prediction_id": a["id"], "kind": "correction", "value": label, "actor": f"user{i % 9}"}
            for i, (a, label) in enumerate(zip(answers, labels, strict=True))
        ]
        replies = [client.post("/v1/feedback", json={"feedback": said}) for _ in range(2)]
        assert [reply.status_code for reply in replies] == [200, 200]
        unknown = {**said[0], "prediction_id": "01900000-0000-7000-8000-000000000000"}
        assert client.post("/v1/feedback", json={"feedback": [unknown]}).status_code == 404
        status, turn = volant(handle, "improve")
        assert turn["outcome"] == "promoted", turn["train"]["verdict"]["reasons"]
        assert turn["labels"]["accepted"] > 150
        wait_for(client, turn["champion_after"])
        status, back = volant(handle, "rollback", "--reason", "a test")
        assert (status, back["release"]) == (0, trained["candidate"])
        wait_for(client, trained["candidate"])
        assert service.stop(signal.SIGKILL)
    shown = handle.status()
    assert (shown.predictions, shown.feedback, shown.turns) == (len(rows), 2 * len(rows), 1)
    assert [event.kind for event in handle.history()] == ["promote", "promote", "rollback"]
    assert handle.predict(_file(tmp_path, rows), tmp_path / "out.parquet").release == trained["candidate"]


def _file(folder: Path, rows: list[dict]) -> Path:
    pyarrow.csv.write_csv(pyarrow.Table.from_pylist(rows), folder / "rows.csv")
    return folder / "rows.csv"


def test_a_ledger_that_cannot_be_reached_is_named_without_its_password(elsewhere, monkeypatch):
    handle, *_ = elsewhere
    monkeypatch.setenv("LEDGER", "postgresql://volant:s3cret@127.0.0.1:1/postgres")
    with pytest.raises(VolantError) as failed:
        handle.status()
    assert failed.value.code == "store-unavailable"
    assert "s3cret" not in str(failed.value)
    assert "127.0.0.1:1" in str(failed.value)
    for name in ("serve", "status"):
        done = subprocess.run(
            [sys.executable, "-m", "volant.cli.main", "-C", str(handle.product.folder), name],
            capture_output=True,
            text=True,
            env=dict(os.environ),
            timeout=60,
        )
        assert done.returncode in (2, 3)
        assert "s3cret" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
