"""Taking releases into service."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from volant.core.records import Field, Pipeline, Signature, Step
from volant.errors import Failure, VolantError
from volant.serve.deck import MOST_TRIES, RETRY_SECONDS, Deck
from volant.serve.slot import load
from volant.store import open_store
from volant.testing import handmade

ROW = {"age": 50}


def test_a_release_is_warm_when_it_is_loaded(tmp_path):
    digest = handmade.write_release(tmp_path)
    slot = load(tmp_path / "candidates" / digest)
    assert slot.name == digest[:12]
    assert slot.inline_bytes > 0


def broken_signature():
    return Signature("classify", "churned", (Field("height", "number", True, 1.0),), (), ("no", "yes"))


def not_a_number():
    scale = {"center": [0.0], "spread": [0.0], "clip": 30.0}
    first = handmade.pipeline().steps
    return Pipeline((*first[:2], Step("scale", ("filled",), "margin", scale), *first[3:]), handmade.pipeline().outputs)


@pytest.mark.parametrize("what", [{"contract": broken_signature()}, {"steps": not_a_number()}], ids=["input", "nan"])
def test_a_release_that_fails_on_its_own_example_is_refused(tmp_path, what):
    digest = handmade.write_release(tmp_path, **what)
    with pytest.raises(VolantError) as caught:
        load(tmp_path / "candidates" / digest)
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
    assert running.service.deck.refresh() is False
    assert running.service.deck.champion is before


def damaged(running, digest):
    (running.product.home / "candidates" / digest / "pipeline.json").write_text("{}")


def test_a_release_that_cannot_be_loaded_is_taken_back_and_the_history_says_why(running, caplog):
    old = running.store.champion().release
    digest = running.new_release()
    damaged(running, digest)
    running.service.watch()
    assert running.post("/v1/predict", json={"row": ROW}).json()["release"] == old[:12]
    back = running.store.deployments()[-1]
    assert (back.kind, back.release, back.previous) == ("rollback", old, digest)
    assert "failed its warm-up: an artifact is damaged" in back.reason
    assert back.facts["automatic"] is True
    assert running.store.audit_trail()[-1].actor == "service"
    assert str(running.product.home) not in caplog.text + back.reason
    assert 'volant_release_pending{product="churn"} 0.0' in running.get("/metrics").text


def test_processes_that_find_it_at_once_take_it_back_once(running):
    digest = running.new_release()
    damaged(running, digest)
    decks = [Deck(running.product.home / "candidates", running.store) for _ in range(2)]
    for deck in decks:
        deck.refresh()
    assert [event.kind for event in running.store.deployments()] == ["promote", "promote", "rollback"]
    assert len({deck.champion.name for deck in decks}) == 1


def test_several_bad_releases_are_gone_back_behind(running):
    first = running.store.champion().release
    for center in (61.0, 62.0):
        damaged(running, running.new_release(center))
    deck = Deck(running.product.home / "candidates", running.store)
    deck.refresh()
    assert deck.champion.name == first[:12]
    assert running.store.champion().release == first


def test_where_there_is_nothing_to_go_back_to_nothing_answers(running):
    damaged(running, running.store.champion().release)
    deck = Deck(running.product.home / "candidates", running.store)
    with pytest.raises(VolantError) as caught:
        deck.refresh()
    assert caught.value.code == "artifact-damaged"
    assert deck.traffic is None
    assert deck.pending
    assert deck.refresh() is False, "it is not tried again at once"
    assert len(running.store.deployments()) == 1


def test_what_there_is_no_room_for_is_tried_again_before_it_is_taken_back(running, monkeypatch):
    now, tries, old = 0.0, [], running.store.champion().release
    deck = Deck(running.product.home / "candidates", running.store, monotonic=lambda: now)
    deck.refresh()
    digest = running.new_release()

    def no_room(folder, digest, **_):
        tries.append(digest)
        raise Failure("there is no memory to load a release", code="too-large")

    monkeypatch.setattr("volant.serve.deck.load", no_room)
    for _ in range(MOST_TRIES - 1):
        with pytest.raises(VolantError):
            deck.refresh()
        assert deck.refresh() is False
        assert deck.pending
        now += RETRY_SECONDS
    deck.refresh()
    assert tries == [digest] * MOST_TRIES
    assert deck.champion.name == old[:12]
    assert (running.store.champion().release, running.store.champion().kind) == (old, "rollback")


def test_it_is_loaded_once_there_is_room(running, monkeypatch):
    now = 0.0
    deck = Deck(running.product.home / "candidates", running.store, monotonic=lambda: now)
    deck.refresh()
    digest = running.new_release()
    with monkeypatch.context() as patch:
        patch.setattr(
            "volant.serve.deck.load", lambda *_, **__: (_ for _ in ()).throw(Failure("no room", code="too-large"))
        )
        with pytest.raises(VolantError):
            deck.refresh()
    now += RETRY_SECONDS
    assert deck.refresh() is True
    assert deck.champion.name == digest[:12]
    assert not deck.pending


def test_what_a_contract_stands_for_does_not_change_behind_its_number(running):
    old = running.store.champion().release
    other = replace(handmade.signature(), inputs=(Field("age", "number", True, 1.0), Field("plan", "text", False, "x")))
    digest = running.write_release(signature=other)
    handmade.promote(running.store, digest)
    running.service.watch()
    assert running.store.champion().release == old
    assert "under the same contract" in running.store.deployments()[-1].reason
    handmade.promote(running.store, running.write_release(signature=replace(other, contract=2)), 2)
    running.service.watch()
    assert running.post("/v1/predict", json={"row": ROW}).json()["contract"] == 2


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
    running.service.watch()
    folder = running.product.home / "candidates"
    (folder / first).rename(folder / "aside")
    (folder / other).rename(folder / first)
    (folder / "aside").rename(folder / other)
    deck = Deck(folder, running.store)
    with pytest.raises(VolantError) as caught:
        deck.refresh()
    assert caught.value.code == "artifact-damaged"


def test_an_unsealed_release_is_not_taken_up_where_seals_are_asked_for(tmp_path):
    seal = pytest.importorskip("volant.runtime.seal")
    pytest.importorskip("cryptography", reason="the extra `sign` is not installed")
    signer = seal.new_key(tmp_path / "key.pem")
    product = handmade.make_product(tmp_path / "product", handmade.FILE_TEXT + f'[sign]\nsigners = ["{signer}"]\n')
    with open_store(product.home) as store:
        good, bad = (handmade.write_release(product.home, handmade.pipeline(center)) for center in (40.0, 50.0))
        seal.write_seal(product.home / "candidates" / good, tmp_path / "key.pem")
        handmade.promote(store, good)
        deck = Deck(product.home / "candidates", store, signers=product.file.sign.signers)
        deck.refresh()
        handmade.promote(store, bad)
        deck.refresh()
        assert deck.champion.release.digest == good
        assert "not sealed" in store.deployments()[-1].reason
