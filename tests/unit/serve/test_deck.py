"""Taking releases into service."""

from __future__ import annotations

import asyncio

import pytest

from volant.core.records import Field, Signature
from volant.errors import VolantError
from volant.serve.deck import load
from volant.testing import handmade

ROW = {"age": 50}


def test_a_release_is_warm_when_it_is_loaded(tmp_path):
    digest = handmade.write_release(tmp_path)
    slot = load(tmp_path / "candidates" / digest, deployment=3)
    assert slot.name == digest[:12]
    assert slot.deployment == 3
    assert slot.inline_bytes > 0


def test_a_release_that_fails_on_its_own_example_is_refused(tmp_path):
    broken = Signature("classify", "churned", (Field("height", "number", True, 1.0),), (), ("no", "yes"))
    digest = handmade.write_release(tmp_path, contract=broken)
    with pytest.raises(VolantError) as caught:
        load(tmp_path / "candidates" / digest, deployment=1)
    assert caught.value.code == "artifact-damaged"


def test_a_new_champion_is_taken_up(running):
    assert running.predict(ROW)[0]["label"] == "yes"
    digest = running.new_release(center=60.0, contract=2)
    running.service.watch()
    answer = running.post("/v1/predict", json={"row": ROW}).json()
    assert (answer["release"], answer["contract"]) == (digest[:12], 2)
    assert answer["predictions"][0]["label"] == "no"
    assert (
        f'volant_release{{contract="2",policy="champion",product="churn",release="{digest[:12]}"'
        in running.get("/metrics").text
    )


def test_it_is_taken_up_without_being_asked_within_a_second(running):
    digest = running.new_release()

    async def waited():
        for _ in range(100):
            if (await running.ask("GET", "/v1/health/ready")).json()["release"] == digest[:12]:
                return True
            await asyncio.sleep(0.05)
        return False

    assert asyncio.run(waited())


def test_a_rollback_is_taken_up_too(running):
    first = running.store.champion().release
    second = running.new_release()
    running.service.watch()
    running.store.deploy(first, "rollback", "a test", 1, second, {})
    running.service.watch()
    assert running.get("/v1/health/ready").json()["release"] == first[:12]


def test_a_refusal_changes_nothing(running):
    before = running.service.deck.champion
    running.store.deploy("f" * 64, "refuse", "a test", 1, running.store.champion().release, {})
    running.service.watch()
    assert running.service.deck.champion is before


def test_a_release_that_cannot_be_loaded_leaves_the_old_one(running):
    old = running.service.deck.champion.name
    digest = running.new_release()
    (running.product.home / "candidates" / digest / "pipeline.json").write_text("{}")
    with pytest.raises(VolantError):
        running.service.watch()
    running.service.watch()  # not tried again at once
    assert running.post("/v1/predict", json={"row": ROW}).json()["release"] == old
    assert 'volant_release_pending{product="churn"} 1.0' in running.get("/metrics").text


def test_it_is_tried_again_later(running, monkeypatch):
    digest = running.new_release()
    pipeline = running.product.home / "candidates" / digest / "pipeline.json"
    whole = pipeline.read_bytes()
    pipeline.write_text("{}")
    monkeypatch.setattr("volant.serve.deck.RETRY_SECONDS", 0.0)
    with pytest.raises(VolantError):
        running.service.watch()
    pipeline.write_bytes(whole)
    running.service.watch()
    assert running.service.deck.champion.name == digest[:12]
    assert not running.service.deck.pending


def test_the_failure_is_told_in_the_log_once_and_in_the_figures(running, caplog):
    digest = running.new_release()
    (running.product.home / "candidates" / digest / "pipeline.json").unlink()

    async def waited():
        for _ in range(100):
            if running.service.deck.pending:
                return
            await asyncio.sleep(0.05)

    asyncio.run(waited())
    assert running.service.deck.pending
    assert "an artifact is damaged" in caplog.text
    assert str(running.product.home) not in caplog.text
    assert 'volant_background_failures_total{product="churn",work="watch"}' in running.get("/metrics").text


def test_without_a_release_it_waits_for_one(empty):
    assert empty.get("/v1/health/live").status_code == 200
    refused = empty.get("/v1/health/ready")
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert empty.post("/v1/predict", json={"row": ROW}).json()["code"] == "not-ready"
    assert empty.get("/openapi.json").status_code == 200
    empty.new_release()
    empty.service.watch()
    assert empty.predict(ROW)


def test_another_artifact_in_the_place_of_the_champion_is_not_served(running):
    first = running.store.champion().release
    other = running.new_release(center=60.0)
    folder = running.product.home / "candidates"
    (folder / first).rename(folder / "aside")
    (folder / other).rename(folder / first)
    running.store.deploy(first, "rollback", "a test", 1, other, {})
    with pytest.raises(VolantError) as caught:
        running.service.watch()
    assert caught.value.code == "artifact-damaged"
    assert running.predict(ROW)[0]["label"] == "yes"
