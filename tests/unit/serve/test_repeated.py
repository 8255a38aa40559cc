"""A request that comes again with its key is answered as before and logged once."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from tests.unit.serve.conftest import Running

from volant.serve.claims import Claims
from volant.serve.repeated import ids_of
from volant.store import open_store
from volant.store.keys import Wanted
from volant.testing import handmade

ROWS = [{"age": 50, "plan": "gold"}, {"age": 20, "plan": "iron"}]


def ask(running, key="k-1", rows=ROWS, **more):
    return running.post("/v1/predict", json={"rows": rows}, headers={"idempotency-key": key, **more})


def test_a_repetition_is_answered_as_before_even_by_another_release(running):
    first = ask(running)
    running.new_release(center=20.0)
    running.service.watch()
    again, other = ask(running), ask(running, "k-2")
    assert first.status_code == 200
    assert again.json() == first.json()
    assert other.json()["release"] != first.json()["release"]
    assert other.json()["predictions"][0]["id"] != first.json()["predictions"][0]["id"]
    assert running.store.counts()["predictions"] == 4


def test_it_takes_feedback_as_any_other(running):
    [one, _] = ask(running).json()["predictions"]
    assert running.say({"prediction_id": one["id"], "kind": "rating", "value": "up"}).status_code == 200


def test_a_key_with_other_rows_is_refused(running):
    ask(running)
    for rows in (ROWS[::-1], [*ROWS, ROWS[0]], [{"age": 51, "plan": "gold"}]):
        answer = ask(running, rows=rows)
        assert answer.status_code == 409
        assert answer.json()["troubles"][0]["where"] == "Idempotency-Key"
    assert ask(running, rows=ROWS).status_code == 200


def test_a_key_that_came_for_another_subject_is_refused(running):
    """Where answers are personal, the first answer is that of somebody else."""
    headers = {"idempotency-key": "k"}
    said = [running.post("/v1/predict", json={"rows": ROWS, "subject": one}, headers=headers) for one in "aab"]
    assert [answer.status_code for answer in said] == [200, 200, 409]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\x7f"])
def test_a_key_that_is_none_is_refused(running, key):
    assert ask(running, key).status_code == 400


def test_two_at_the_same_time_are_one(running):
    async def scenario():
        both = [running.ask("POST", "/v1/predict", json={"rows": ROWS}, headers={"idempotency-key": "k"}) for _ in "ab"]
        return await asyncio.gather(*both)

    first, second = asyncio.run(scenario())
    assert [one["id"] for one in first.json()["predictions"]] == [one["id"] for one in second.json()["predictions"]]
    assert running.store.counts()["predictions"] == 2


def test_two_at_the_same_time_are_one_even_while_a_release_is_swapped_in(running, monkeypatch):
    """The first one is on its way under the old release, with the new one in place before the second is looked at."""
    before, look = running.service.deck.traffic, running.store.find_predictions
    monkeypatch.setattr(running.store, "find_predictions", lambda ids: (look(ids), time.sleep(0.5))[0])

    async def scenario():
        both = []
        for center in (20.0, 30.0):
            headers = {"idempotency-key": "k"}
            both.append(asyncio.ensure_future(running.ask("POST", "/v1/predict", json={"rows": ROWS}, headers=headers)))
            await asyncio.sleep(0.1)
            running.new_release(center)
            running.service.watch()
        return await asyncio.gather(*both)

    first, second = asyncio.run(scenario())
    assert running.service.deck.traffic is not before
    assert first.json() == second.json()
    assert first.json()["release"] == before.champion.slot.name
    assert running.store.counts()["predictions"] == 2


def test_what_was_begun_is_ended_before_another_one_of_its_name_begins(tmp_path):
    """Also where the client is gone: a repetition must find what came of it."""
    claims, order = Claims(tmp_path / "claims"), []

    async def work(name, waits_for):
        order.append(f"{name} begins")
        await waits_for.wait()
        order.append(f"{name} ends")

    async def scenario():
        may_end, at_once = asyncio.Event(), asyncio.Event()
        at_once.set()
        gone = asyncio.ensure_future(claims.alone("k", lambda: work("first", may_end)))
        while not order:
            await asyncio.sleep(0)
        gone.cancel()
        second = asyncio.ensure_future(claims.alone("k", lambda: work("second", at_once)))
        await claims.alone("another name", lambda: work("other", at_once))
        may_end.set()
        await second
        assert gone.cancelled()

    asyncio.run(scenario())
    claims.close()
    assert order == [f"{who} {what}" for who, what in PLAYED]


PLAYED = [
    ("first", "begins"),
    ("other", "begins"),
    ("other", "ends"),
    ("first", "ends"),
    ("second", "begins"),
    ("second", "ends"),
]


def test_a_name_that_failed_is_free_again(tmp_path):
    claims = Claims(tmp_path / "claims")

    async def fails():
        raise LookupError

    async def works():
        return "done"

    async def scenario():
        with pytest.raises(LookupError):
            await claims.alone("k", fails)
        return await claims.alone("k", works)

    assert asyncio.run(scenario()) == "done"
    claims.close()


def test_a_service_on_another_machine_answers_a_repetition_as_before(tmp_path, postgres_server):
    """They share the ledger and nothing else, and by then the other one is of another mind."""
    text = handmade.FILE_TEXT + f'[store]\nurl = "{postgres_server.new_url()}"\n'
    found, machines = [], []
    for place in ("here", "there"):
        product = handmade.make_product(tmp_path / place, text)
        store = open_store(product.home, product.file.store.url)
        handmade.promote(store, handmade.write_release(product.home, handmade.pipeline(20.0 + 30 * len(found))))
        machines.append(Running(product, store))
        for work in machines[-1].service._background:  # nothing is brought into the ledger by the way
            work.stop()
        found.append(ask(machines[-1]))
    for machine in machines:
        machine.service.close()
        machine.store.close()
    first, again = found
    assert first.status_code == 200
    assert again.json() == first.json()


def test_the_keys_of_two_callers_are_two(start):
    running = start()
    a, b = (running.store.create_api_key(Wanted(name, ("predict",)))[1] for name in "ab")
    running.service.watch()
    found = [ask(running, authorization=f"Bearer {key}").json()["predictions"][0]["id"] for key in (a, b, a)]
    assert found[0] == found[2] != found[1]


def test_lines_may_be_repeated_too(running):
    body = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    headers = {"content-type": "application/x-ndjson", "idempotency-key": "lines"}
    first, again = (running.post("/v1/predict", content=body, headers=headers).text for _ in range(2))
    assert first == again
    assert running.store.counts()["predictions"] == 2


def test_what_a_model_failed_on_is_tried_again(start, monkeypatch):
    running = start(handmade.FILE_TEXT)
    slot = running.service.deck.champion
    with monkeypatch.context() as broken:
        broken.setattr(type(slot.release), "predict", lambda *_: 1 / 0)
        assert ask(running).status_code == 500
    assert ask(running).status_code == 200


def test_ids_are_uuids_of_version_8():
    one, other = ids_of("a k", 2)
    assert one != other
    assert one[14] == "8"
    assert one[19] in "89ab"
