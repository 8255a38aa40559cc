"""Small requests that come in the same turn of the event loop: answered together, each as if it were alone."""

from __future__ import annotations

import asyncio
import json

import pytest

from volant.serve.app import create_app
from volant.serve.http import Request, Response
from volant.store import open_store
from volant.testing import handmade

BODY = json.dumps({"row": {"age": 50, "plan": "gold"}}).encode()
OTHER = json.dumps({"rows": [{"age": 20, "plan": "basic"}, {"age": 41.5}]}).encode()
WRONG = json.dumps({"row": {"age": "old"}}).encode()


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    return handmade.make_served_product(tmp_path_factory.mktemp("gathered"))


@pytest.fixture
def app(product):
    with open_store(product.home) as store:
        made = create_app(product, store)
        made.start()
        yield made
        made.close()


def request(body: bytes) -> Request:
    return Request("POST", b"/v1/predict", {b"content-type": b"application/json"})


def answered(app, bodies) -> list[Response]:
    """The responses to requests that come in one turn."""

    async def ask() -> list[Response]:
        pending = []
        for body in bodies:
            made = request(body)
            route = app.open(made)
            made.body = body
            pending.append(app.answer(made, route))
        return [one if isinstance(one, Response) else await one for one in pending]

    return asyncio.run(ask())


def spoken(response: Response):
    """What a response says, without what differs every time."""
    said = json.loads(response.body)
    for one in said.get("predictions", []):
        one.pop("id"), one.pop("audit")
    said.pop("request_id", None)
    return response.status, said


def counted(app, monkeypatch) -> list[int]:
    """How many requests are answered at once."""
    sizes, answerer = [], app.services[""].answerer
    all_of, one_of = answerer.answer_all, answerer.answer
    monkeypatch.setattr(answerer, "answer_all", lambda t, b, n: sizes.append(len(b)) or all_of(t, b, n))
    monkeypatch.setattr(answerer, "answer", lambda t, b: sizes.append(1) or one_of(t, b))
    return sizes


def test_each_is_answered_as_if_it_were_alone(app, monkeypatch):
    """A wrong one among them spoils no other, and all are logged."""
    alone = [spoken(answered(app, [body])[0]) for body in (BODY, OTHER, WRONG)]
    sizes = counted(app, monkeypatch)
    together = answered(app, [BODY, OTHER, WRONG] * 3)
    assert [spoken(one) for one in together] == alone * 3
    assert sizes == [9]
    ids = [p["id"] for one in together if one.status == 200 for p in json.loads(one.body)["predictions"]]
    assert len(set(ids)) == 9
    app.services[""].journal.index()
    assert set(app.services[""]._store.find_predictions(ids)) == set(ids)


def test_no_more_at_once_than_the_loop_may_be_held(app, monkeypatch):
    sizes, traffic = counted(app, monkeypatch), app.services[""].deck.traffic
    monkeypatch.setitem(traffic.__dict__, "inline_bytes", 3 * len(BODY))
    assert [one.status for one in answered(app, [BODY] * 7)] == [200] * 7
    assert sizes == [3, 3, 1]


def test_what_nobody_foresaw_of_one_spoils_no_other(app, monkeypatch):
    """Where reading a body ends in a fault of the service, whoever sent it must not have taken others with it."""
    answerer = app.services[""].answerer
    read = answerer.read
    monkeypatch.setattr(answerer, "read", lambda traffic, body: 1 / 0 if body == OTHER else read(traffic, body))
    together = answered(app, [BODY, OTHER, BODY, WRONG])
    assert [one.status for one in together] == [200, 500, 200, 422]


def test_a_log_that_fails_refuses_all_of_them(app, monkeypatch):
    def full(records):
        raise OSError("no space")

    monkeypatch.setattr(app.services[""].journal, "append", full)
    assert [one.status for one in answered(app, [BODY] * 3)] == [500] * 3


def test_who_broke_off_keeps_nobody_waiting(app):
    """An answer that cannot be sent is the trouble of one connection."""

    async def ask() -> list[int]:
        found: list[int] = []
        for place in range(3):
            made = request(BODY)
            route = app.open(made)
            made.body = BODY
            app.answer(made, route).then(lambda response, place=place: found.append(place // (place != 1)))
        await asyncio.sleep(0.01)
        return found

    assert asyncio.run(ask()) == [0, 2]
