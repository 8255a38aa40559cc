"""The service as a process: it starts, answers, swaps releases, drains, and loads no training library."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from volant.core.ids import file_digest
from volant.runtime.seal import new_key, write_seal
from volant.serve.orphan import LEFT_SECONDS
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

ROW = {"age": 50, "plan": "gold"}
HEAVY = ("torch", "sklearn", "lightgbm", "onnx", "matplotlib", "cleanlab", "scipy", "starlette")


@pytest.fixture
def product(tmp_path):
    return handmade.make_served_product(tmp_path / "churn")


def wait_until(happens, seconds=20):
    until = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.02)


def predict(client, *rows):
    answer = client.post("/v1/predict", json={"rows": rows or [ROW]})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_whole_way_of_a_row(product):
    with served(product.folder) as service, httpx.Client(base_url=service.url) as client:
        assert client.get("/v1/health/ready").json()["ready"] is True
        [answer] = predict(client)["predictions"]
        said = {"prediction_id": answer["id"], "kind": "correction", "value": "no", "actor": "anna"}
        assert client.post("/v1/feedback", json={"feedback": [said]}).status_code == 200
        assert service.stop() == 0
    with open_store(product.home) as store:
        [voice] = store.voices()
        assert voice.prediction.input == ROW
        assert voice.value == "no"


def test_it_drains_when_it_is_told_to_stop(product):
    """Whoever was let in is answered, and what was answered is in the ledger."""
    ids: list[str] = []
    with served(product.folder) as service:

        def ask():
            with httpx.Client(base_url=service.url) as client:
                while True:
                    try:
                        ids.extend(one["id"] for one in predict(client, ROW, ROW)["predictions"])
                    except httpx.TransportError:
                        return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(ids) >= 40)
        assert service.stop() == 0
        for thread in threads:
            thread.join()
    with open_store(product.home) as store:
        assert len(store.find_predictions(ids)) == len(ids)
    assert list((product.home / "segments").iterdir()) == []


def test_what_was_answered_survives_a_kill(product):
    with served(product.folder) as service:
        with httpx.Client(base_url=service.url) as client:
            ids = [one["id"] for _ in range(20) for one in predict(client)["predictions"]]
        service.stop(signal.SIGKILL)
    with open_store(product.home) as store:
        assert len(store.find_predictions(ids)) == len(ids)


def test_nobody_outlives_the_process_that_started_the_others(product):
    """Killed without a word, it leaves no process behind, however busy they are and although callers stay connected."""
    with served(product.folder, "--workers", "2") as service:
        children = children_of(service.process.pid)
        assert len(children) == 3  # two that answer, and the keeper

        def ask():
            with httpx.Client(base_url=service.url) as client, contextlib.suppress(httpx.TransportError):
                while True:
                    predict(client)

        with ThreadPoolExecutor(2) as pool:
            for _ in range(2):
                pool.submit(ask)
            service.stop(signal.SIGKILL)
            wait_until(lambda: not any(map(lives, children)), LEFT_SECONDS + 10)


def children_of(parent):
    status = {path.parent.name: path.read_text() for path in Path("/proc").glob("[0-9]*/status")}
    return [int(pid) for pid, text in status.items() if f"\nPPid:\t{parent}\n" in text]


def lives(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_new_champion_is_swapped_in_under_load(product):
    stop, seen = threading.Event(), [set(), set()]
    with served(product.folder) as service, open_store(product.home) as store:

        def ask(releases):
            with httpx.Client(base_url=service.url) as client:
                while not stop.is_set():
                    releases.add(predict(client)["release"])

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask, releases) for releases in seen]
            try:
                wait_until(lambda: all(seen))
                digest = handmade.write_release(product.home, handmade.pipeline(60.0))
                handmade.promote(store, digest)
                wait_until(lambda: all(digest[:12] in releases for releases in seen))
            finally:
                stop.set()
            for one in asking:
                one.result()
    assert all(len(releases) == 2 for releases in seen)


def run_serve(folder, *options):
    command = [sys.executable, "-m", "volant.cli.main", "-C", str(folder), "--json", "serve", *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in ended.stderr
    return ended.returncode, json.loads(ended.stdout or ended.stderr)


def test_without_a_release_it_says_what_to_do(tmp_path):
    handmade.make_product(tmp_path)
    status, said = run_serve(tmp_path, "--port", "0")
    assert (status, said["error"]) == (2, "no-release")


def test_a_port_in_use_is_bad_input(product):
    with served(product.folder) as service:
        status, said = run_serve(product.folder, "--port", str(service.address[1]))
    assert (status, said["error"]) == (2, "address-in-use")


def test_other_machines_are_let_in_with_a_key_only(product):
    status, said = run_serve(product.folder, "--port", "0", "--host", "0.0.0.0")
    assert (status, said["error"]) == (2, "key-required")


def test_a_damaged_release_is_bad_input(product):
    [folder] = (product.home / "candidates").iterdir()
    (folder / "pipeline.json").write_text("{}")
    status, said = run_serve(product.folder, "--port", "0")
    assert (status, said["error"]) == (2, "artifact-damaged")


@pytest.fixture
def sealed(tmp_path):
    """A product that serves only what its own key sealed, and two releases that it did seal."""
    pytest.importorskip("cryptography", reason="the library cryptography is not installed")
    signer = new_key(tmp_path / "key.pem")
    text = handmade.FILE_TEXT + f'[sign]\nsigners = ["{signer}"]\n'
    product = handmade.make_served_product(tmp_path / "churn", text)
    other = handmade.write_release(product.home, handmade.pipeline(70.0))
    with open_store(product.home) as store:
        digest = store.champion().release
    folders = [product.home / "candidates" / one for one in (digest, other)]
    for folder in folders:
        write_seal(folder, tmp_path / "key.pem")
    return product, *folders


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("none", None),
        ("no seal", "artifact-unsigned"),
        ("a seal of another release", "artifact-unsigned"),
        ("a manifest that was edited", "artifact-unsigned"),
        ("a file that was edited", "artifact-damaged"),
        ("another sealed release in its place", "artifact-damaged"),
    ],
)
def test_only_what_was_sealed_is_served_and_nothing_in_its_place(sealed, attack, code):
    product, champion, other = sealed
    if attack == "no seal":
        (champion / "seal.json").unlink()
    elif attack == "a seal of another release":
        shutil.copy(other / "seal.json", champion / "seal.json")
    elif attack == "a manifest that was edited":
        (champion / "profile.json").write_text('{"x": 1}')
        manifest = json.loads((champion / "manifest.json").read_text())
        manifest["files"]["profile.json"] = file_digest(champion / "profile.json")
        (champion / "manifest.json").write_text(json.dumps(manifest))
    elif attack == "a file that was edited":
        (champion / "pipeline.json").write_bytes((other / "pipeline.json").read_bytes())
    elif attack == "another sealed release in its place":
        shutil.rmtree(champion)
        shutil.copytree(other, champion)
    if code is None:
        with served(product.folder, "--workers", "1") as service, httpx.Client(base_url=service.url) as client:
            assert predict(client)["release"] == champion.name[:12]
    else:
        status, said = run_serve(product.folder, "--port", "0")
        assert (status, said["error"]) == (2, code)


def loaded(product, names):
    """Which of these modules a fresh process has that serves one prediction and takes one piece of feedback."""
    code = f"""
import asyncio, json, sys
from pathlib import Path
from volant.core.product import read
from volant.serve.app import create_app
from volant.serve.asgi import Asgi
from volant.store import open_store
import volant.serve.launch

product = read(Path({str(product.folder)!r}))
sent = []

async def ask(app, method, path, body=b""):
    async def receive():
        return {{"type": "http.request", "body": body, "more_body": False}}
    async def send(message):
        sent.append(message)
    headers = [(b"content-type", b"application/json")]
    await app({{"type": "http", "method": method, "path": path, "headers": headers}}, receive, send)
    assert sent[-2]["status"] == 200, sent
    return sent[-1]["body"]

with open_store(product.home) as store:
    app = create_app(product, store)
    app.start()
    inner, app = app, Asgi(app)
    answer = json.loads(asyncio.run(ask(app, "POST", "/v1/predict", b'{{"row": {{"age": 50}}}}')))
    said = {{"prediction_id": answer["predictions"][0]["id"], "kind": "correction", "value": "no"}}
    asyncio.run(ask(app, "POST", "/v1/feedback", json.dumps({{"feedback": [said]}}).encode()))
    for path in ("/docs", "/openapi.json", "/metrics", "/v1/health/ready"):
        asyncio.run(ask(app, "GET", path))
    inner.close()
print(json.dumps([name for name in {names!r} if name in sys.modules]))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_no_training_library_is_loaded(product):
    assert loaded(product, HEAVY) == []


def test_pandas_is_not_loaded(product):
    assert loaded(product, ("pandas",)) == []
