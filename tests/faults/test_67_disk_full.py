"""Fault 67: a full disk is told, never silent, and costs nothing that was acknowledged."""

from __future__ import annotations

import contextlib
import time

import httpx
import pytest

from volant.core.ids import uuid7
from volant.core.records import Feedback
from volant.errors import Failure
from volant.store import PredictionRecord, open_store
from volant.testing import handmade
from volant.testing.served import served


def prediction() -> PredictionRecord:
    return PredictionRecord(
        id=uuid7(), release="r", at="2026-01-01T00:00:00+00:00", input={"text": "x" * 2000}, output={"value": 1.0}
    )


def test_a_log_on_a_full_disk_stops_and_keeps_what_it_took(small_disk):
    home = small_disk.folder / ".volant"
    acknowledged: list[str] = []

    def predict_until_full(log):
        while True:
            record = prediction()
            log.append([record])
            acknowledged.append(record.id)

    with open_store(home) as store:
        log = store.prediction_log()
        for _ in range(2):  # it stays failed: a service must see it and stop predicting
            with pytest.raises(Failure) as caught:
                predict_until_full(log)
            assert caught.value.code == "store-full"
        assert log.failure is not None
        with pytest.raises(Failure):
            log.close()
    small_disk.grow()
    with open_store(home) as store:
        assert len(acknowledged) > 100
        assert set(store.find_predictions(acknowledged)) == set(acknowledged)
        assert store.counts()["predictions"] == len(acknowledged)
        store.prediction_log().append([prediction()])


def test_67_a_service_whose_disk_runs_full(small_disk):
    """It refuses with 503 before it predicts, says so in its readiness, and goes on by itself once there is room."""
    small_disk.mount("remount,size=8m")
    product = handmade.make_served_product(small_disk.folder / "churn")
    row = {"age": 50, "plan": "x" * 4000}
    told: list[str] = []
    with served(product.folder, "--workers", "1") as service, httpx.Client(base_url=service.url, timeout=60) as client:
        filler = small_disk.folder / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        until = time.monotonic() + 60
        while (answer := client.post("/v1/predict", json={"rows": [row] * 20})).status_code == 200:
            told += [one["id"] for one in answer.json()["predictions"]]
            assert time.monotonic() < until
        assert (answer.status_code, answer.json()["code"]) == (503, "store-full")
        assert int(answer.headers["retry-after"]) >= 1
        ready = client.get("/v1/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "not-ready")
        assert client.get("/v1/health/live").status_code == 200
        filler.unlink()
        small_disk.mount("remount,size=100m")
        while client.post("/v1/predict", json={"row": row}).status_code != 200:
            assert time.monotonic() < until + 60
            time.sleep(0.1)
        assert service.stop() == 0
    with open_store(product.home) as store:
        assert set(store.find_predictions(told)) == set(told)
        assert store.counts()["predictions"] == len(told) + 1


def test_feedback_on_a_full_disk_is_refused_until_there_is_space(small_disk):
    acknowledged: list[str] = []
    with open_store(small_disk.folder / ".volant") as store:
        record = prediction()
        store.prediction_log().append([record])

        def say(number):
            item = Feedback(record.id, "correction", "x" * 2000, f"actor {number}")
            acknowledged.append(store.add_feedback([item])[0].id)

        def say_until_full():
            for number in range(10_000):
                say(number)

        for _ in range(3):
            with pytest.raises(Failure) as caught:
                say_until_full()
            assert caught.value.code == "store-full"
        small_disk.grow()
        say("after")
        assert [row.id for row in store.feedback_rows()] == acknowledged
    with open_store(small_disk.folder / ".volant") as store:
        assert [row.id for row in store.feedback_rows()] == acknowledged


def test_a_store_on_a_full_disk_says_what_is_wrong(small_disk):
    home = small_disk.folder / ".volant"
    open_store(home).close()
    filler = small_disk.folder / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb") as stream:
        stream.write(bytes(10_000_000))
    with pytest.raises(Failure) as caught:
        open_store(home)
    assert caught.value.code == "store-full"
    filler.unlink()
    open_store(home).close()
