"""A request that comes again with its key is answered as before and logged once."""

from __future__ import annotations

import asyncio
import json

import pytest

from volant.serve.repeated import ids_of
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
