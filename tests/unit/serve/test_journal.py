"""The prediction log as the service uses it."""

from __future__ import annotations

import asyncio

from volant.errors import Failure
from volant.serve import journal as module

ROW = {"age": 50}


def break_log(running, code):
    running.service.journal._log._failure = Failure("writing the prediction log failed", code=code)


def test_nothing_is_predicted_that_cannot_be_logged(running, monkeypatch):
    monkeypatch.setattr(running.service.deck.champion.release.runner, "predict", None)
    break_log(running, "store-failed")
    answer = running.post("/v1/predict", json={"row": ROW})
    assert answer.status_code == 503
    assert answer.json()["code"] == "store-failed"
    assert answer.headers["retry-after"] == "1"
    assert running.get("/v1/health/ready").status_code == 503
    assert 'volant_log_failed{product="churn"} 1.0' in running.get("/metrics").text


def test_it_goes_on_when_there_is_room_again(running, monkeypatch):
    monkeypatch.setattr(module, "ROOM_BYTES", 2**62)
    break_log(running, "store-full")
    running.service.watch()
    assert running.post("/v1/predict", json={"row": ROW}).status_code == 503
    monkeypatch.setattr(module, "ROOM_BYTES", 0)
    running.service.watch()
    assert running.predict(ROW)


def test_it_does_not_go_on_after_a_failed_flush(running):
    break_log(running, "store-failed")
    running.service.watch()
    assert running.post("/v1/predict", json={"row": ROW}).status_code == 503


def test_predictions_reach_the_ledger_by_themselves(running):
    running.predict(ROW, ROW)

    async def waited():
        for _ in range(100):
            if running.service.journal.waiting == 0:
                return
            await asyncio.sleep(0.05)

    asyncio.run(waited())
    assert running.service.journal.waiting == 0
    assert len(running.store._look_up([one["id"] for one in running.predict(ROW)])) == 0
    assert running.store.counts()["predictions"] == 3


def test_the_end_leaves_nothing_behind(start, request):
    running = start()
    ids = [one["id"] for one in running.predict(ROW, ROW)]
    running.service.close()
    assert len(running.store._look_up(ids)) == 2
    assert list((running.product.home / "segments").iterdir()) == []
