"""60, 61, 62: new releases under load, one that fails its warm-up, one that fails its users, and shadows that do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from volant.core.records import Field, Pipeline, Signature, Step
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served, wait_for_release

ROW = {"age": 50, "plan": "gold"}


class Load:
    """Clients that ask as fast as they can, and keep what they were answered."""

    def __init__(self, service, clients: int = 4) -> None:
        self.answers: list[httpx.Response] = []
        self._service = service
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._asking = [self._pool.submit(self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._service.url, timeout=60) as client:
            while not self._stop.is_set():
                self.answers.append(client.post("/v1/predict", json={"row": ROW}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        for one in self._asking:
            one.result()
        self._pool.shutdown()

    def statuses(self) -> Counter:
        return Counter(answer.status_code for answer in self.answers)


@pytest.fixture
def product(tmp_path):
    return handmade.make_served_product(tmp_path)


def slow(seconds_of_work: int = 300) -> Pipeline:
    """The same answers, much later."""
    steps = list(handmade.pipeline().steps)
    waste = [
        Step("hash_ngrams", ("plan",), f"waste{n}", {"size": 200_000, "low": 1, "high": 8})
        for n in range(seconds_of_work)
    ]
    return Pipeline((*waste, *steps), handmade.pipeline().outputs)


def test_60_hot_swaps_under_load(product):
    """Not one refused request, and every answer names a release that was champion."""
    with served(product.folder) as service, open_store(product.home) as store:
        names = [store.champion().release[:12]]
        with Load(service) as load:
            for center in (55.0, 60.0, 65.0):
                digest = handmade.write_release(product.home, handmade.pipeline(center))
                handmade.promote(store, digest)
                names.append(wait_for_release(service.url, digest))
                while not any(answer.json()["release"] == names[-1] for answer in load.answers[-50:]):
                    time.sleep(0.05)
        assert set(load.statuses()) == {200}
        assert {answer.json()["release"] for answer in load.answers} == set(names)
        assert store.counts()["predictions"] == len(load.answers)


def test_61_a_release_that_fails_its_warm_up(product):
    broken = Signature("classify", "churned", (Field("height", "number", True, 1.0),), (), ("no", "yes"), 2)
    with served(product.folder) as service, open_store(product.home) as store:
        old = store.champion().release
        with Load(service) as load:
            digest = handmade.write_release(product.home, contract=broken)
            handmade.promote(store, digest, 2)
            until = time.monotonic() + 60
            while store.champion().release != old:
                assert time.monotonic() < until
                time.sleep(0.05)
            wait_for_release(service.url, old)
        assert set(load.statuses()) == {200}
        assert {answer.json()["release"] for answer in load.answers} == {old[:12]}
        back = store.deployments()[-1]
        assert (back.kind, back.previous) == ("rollback", digest)
        assert "failed its warm-up" in back.reason


def test_61_a_release_that_fails_its_users_is_taken_back(tmp_path):
    """It does well on its own example, so it comes into service; then the answers that it owes show it."""
    contract = Signature("classify", "churned", (Field("age", "number", False, 41.0),), (), ("no", "yes"))
    good = handmade.pipeline()
    bad = Pipeline(
        (
            Step("encode", ("age",), "code", {"vocabulary": [41.0], "other": None}),
            Step("sigmoid_pair", ("code",), "probability"),
            Step("decide", ("probability",), "label", {"classes": ["no", "yes"]}),
        ),
        good.outputs,
    )
    product = handmade.make_product(tmp_path)
    with open_store(product.home) as store:
        old = handmade.write_release(product.home, contract=contract)
        handmade.promote(store, old)
        with served(product.folder) as service:
            new = handmade.write_release(product.home, bad, contract)
            handmade.promote(store, new)
            wait_for_release(service.url, new)
            until = time.monotonic() + 60
            with httpx.Client(base_url=service.url, timeout=60) as client:
                while store.champion().release != old:
                    assert time.monotonic() < until
                    client.post("/v1/predict", json={"row": {"age": 50}})
                wait_for_release(service.url, old)
                assert client.post("/v1/predict", json={"row": {"age": 50}}).status_code == 200
        assert "requests got no usable answer" in store.deployments()[-1].reason


@pytest.mark.parametrize("kind", ["crawls", "crashes"])
def test_62_a_shadow_that_crawls_or_crashes(product, kind):
    with served(product.folder) as service, open_store(product.home) as store:
        champion = store.champion().release
        digest = handmade.write_release(product.home, slow() if kind == "crawls" else handmade.pipeline(41.0))
        if kind == "crashes":
            (product.home / "candidates" / digest / "pipeline.json").write_text("{}")
        store.deploy(digest, "shadow", "a test", 1, champion, {"policy": "shadow"})
        time.sleep(3)
        with Load(service) as load:
            time.sleep(3)
        assert set(load.statuses()) == {200}
        assert {answer.json()["release"] for answer in load.answers} == {champion[:12]}
        assert store.counts()["predictions"] == len(load.answers)


def test_62_what_a_shadow_would_have_said_is_kept_beside_what_was_said(product):
    with served(product.folder) as service, open_store(product.home) as store:
        digest = handmade.write_release(product.home, handmade.pipeline(60.0))
        store.deploy(digest, "shadow", "a test", 1, store.champion().release, {"policy": "shadow"})
        until, rows = time.monotonic() + 60, []
        with httpx.Client(base_url=service.url, timeout=60) as client:
            while not rows:
                assert time.monotonic() < until
                client.post("/v1/predict", json={"rows": [ROW, {"age": 70}]})
                rows = list(store.shadows(digest))
        assert {row.answer["label"] for row in rows} == {"yes"}
        assert {row.output["label"] for row in rows} == {"no", "yes"}
        assert {row.by for row in rows} == {store.champion().release}
        predictions = store.find_predictions([row.prediction_id for row in rows])
        assert {record.policy for record in predictions.values()} == {"champion"}
