"""Clients that mean harm: what they send must not hold memory, slots or the quotas of their keys open."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from contextlib import ExitStack

import pytest
from tests.unit.serve.conftest import Listening, everything

from volant.serve import intake, limits, listener
from volant.serve.http import Response, Route, Takes
from volant.serve.limits import Limits
from volant.serve.problems import HttpError
from volant.store.keys import Wanted
from volant.testing import handmade

LIVE = b"GET /v1/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /v1/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
BODY = b'{"row": {"age": 50}}'
HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def predict(body: bytes = BODY, more: bytes = b"") -> bytes:
    return HEAD + more + b"content-length: %d\r\n\r\n" % len(body) + body


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def eventually(holds) -> bool:
    until = time.monotonic() + 30
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return bool(holds())


@pytest.fixture
def listen(start):
    """Listens for a service of the test's choice."""
    with ExitStack() as stack:

        def made(text: str = handmade.FILE_TEXT) -> Listening:
            opened = Listening(start(text))
            stack.callback(opened.stop)
            return opened

        yield made


@pytest.mark.parametrize("behind", [b"\x00garbage\r\n\r\n", LIVE, predict()])
def test_what_comes_behind_the_last_request_keeps_no_connection_open(listening, monkeypatch, behind):
    """The client keeps its side open, too."""
    monkeypatch.setattr(listener, "LINGER_SECONDS", 0.2)
    with listening.connect() as connection:
        connection.sendall(predict(more=b"connection: close\r\n") + behind)
        assert statuses(everything(connection)) == [200]
        assert eventually(lambda: listening.listener.open == 0)


def test_a_head_that_begins_behind_another_request_has_its_deadline(listening, monkeypatch):
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.3)
    with listening.connect() as connection:
        connection.sendall(LIVE + LIVE[:20])
        assert statuses(everything(connection)) == [200, 408]


@pytest.mark.parametrize("cut", [10, len(HEAD) + 40])
def test_a_long_body_before_it_does_not_make_a_head_long(listening, cut):
    """The end of one request and the beginning of the next come together."""
    long = predict(b'{"row": {"age": 50' + b" " * 60_000 + b"}}")
    with listening.connect() as connection:
        connection.sendall(long[:cut])
        time.sleep(0.1)
        connection.sendall(long[cut:] + LAST[:10])
        time.sleep(0.1)
        connection.sendall(LAST[10:])
        assert statuses(everything(connection)) == [200, 200]


@pytest.mark.parametrize("beginning", [b"0\r\nx-more: ", b"5;name=", b"0\r\n" + b"x: y\r\n" * 1000])
def test_framing_without_end_is_refused(listening, beginning):
    answer = listening.send(CHUNKED + beginning, *[b"y" * 100_000] * 20)
    assert statuses(answer) in ([413], [400])


def test_packed_bodies_are_unpacked_when_their_turn_comes(listening, monkeypatch):
    """A few kilobytes hold many of them, which are megabytes each."""
    unpacked, unpack = [], intake.Intake._unpacked
    monkeypatch.setattr(intake.Intake, "_unpacked", lambda self, body: unpacked.append(1) or unpack(self, body))

    async def slow(request):
        await asyncio.sleep(0.5)
        return Response(b"{}")

    takes = Takes(8_000_000)
    listening.running.app._routes.add("POST", "/slow", Route(slow, "/slow", takes))
    packed = gzip.compress(b" " * 4_000_000)
    one = predict(packed, b"content-encoding: gzip\r\n").replace(b"/v1/predict", b"/slow")
    with listening.connect() as connection:
        connection.sendall(one * 10)
        time.sleep(0.3)
        assert len(unpacked) == 1


def test_bodies_that_wait_hold_no_more_than_so_many_bytes_together(listen, monkeypatch):
    """Whoever brings a large one is told to come back; small requests are answered."""
    monkeypatch.setattr(listener, "HELD_BYTES", 0)
    listening = listen(handmade.FILE_TEXT + "[serve]\nmax_body_mb = 0.2\n")
    begun = HEAD + b"content-length: 199000\r\n\r\n" + b" " * 190_000
    with ExitStack() as stack:
        held = [stack.enter_context(listening.connect()) for _ in range(8)]
        for one in held:
            one.sendall(begun)
            time.sleep(0.05)
        refused = everything(held[-1])
        assert statuses(refused) == [503]
        assert b"retry-after: 1" in refused
        assert statuses(listening.send(predict(more=b"connection: close\r\n"))) == [200]
    assert eventually(lambda: listening.listener.open == 0)
    whole = predict(b'{"row": {"age": 50' + b" " * 190_000 + b"}}", b"connection: close\r\n")
    assert statuses(listening.send(whole)) == [200], "there is room again"


def test_requests_that_come_in_one_piece_cannot_outrun_a_quota(listening):
    store = listening.running.store
    _, key = store.create_api_key(Wanted("small", ("predict",), quota=5, period="month"))
    listening.running.service.watch()
    more = b"authorization: Bearer %b\r\n" % key.encode()
    answer = listening.send(predict(more=more) * 40 + predict(more=more + b"connection: close\r\n"))
    assert statuses(answer) == [200] * 5 + [429] * 36


def test_a_key_whose_limits_have_no_place_is_refused(monkeypatch, start):
    """Not let in without limits."""
    monkeypatch.setattr(limits, "SIZE", 2 * limits._SLOT)
    store = start().store
    keys = [store.create_api_key(Wanted(f"key{n}", ("predict",), rate=100.0, burst=10))[0] for n in range(3)]
    held = Limits.private()
    held.provide(key.id for key in keys)
    held.take(keys[0])
    held.take(keys[1])
    with pytest.raises(HttpError, match="have limits") as refused:
        held.take(keys[2])
    assert refused.value.status == 503


def test_a_request_for_which_there_is_no_memory_is_refused_alone(listening, monkeypatch):
    """What comes in the same turn is answered."""
    answerer = listening.running.service.answerer
    answer_all, answer = answerer.answer_all, answerer.answer

    def all_of(traffic, bodies, names):
        if any(b"66" in body for body in bodies):
            raise MemoryError
        return answer_all(traffic, bodies, names)

    def one_of(traffic, body, name=""):
        if b"66" in body:
            raise MemoryError
        return answer(traffic, body, name)

    monkeypatch.setattr(answerer, "answer_all", all_of)
    monkeypatch.setattr(answerer, "answer", one_of)
    bodies = [BODY, b'{"row": {"age": 66}}', BODY]

    async def ask():
        return await asyncio.gather(
            *(listening.running.ask("POST", "/v1/predict", json=json.loads(body)) for body in bodies)
        )

    answers = asyncio.run(ask())
    assert [one.status_code for one in answers] == [200, 503, 200]
    assert answers[1].json()["code"] == "overloaded"
    assert answers[1].headers["retry-after"] == "1"


def test_an_answer_that_cannot_be_counted_is_a_500_and_hangs_nobody(listening, monkeypatch):
    monkeypatch.setattr(listening.running.service.guard, "charge", lambda holder, rows: 1 / 0)
    with listening.connect() as connection:
        connection.sendall(predict())
        assert statuses(connection.recv(10_000)) == [500]


def test_a_connection_that_breaks_frees_no_other_of_its_deadlines(listening, monkeypatch):
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.5)
    hold, broken = listener.Listener._hold, []

    def breaks(self, connection, waited):
        if not broken:
            broken.append(connection)
            raise RuntimeError
        hold(self, connection, waited)

    with listening.connect() as first:
        first.sendall(LIVE)
        assert statuses(first.recv(10_000)) == [200]
        monkeypatch.setattr(listener.Listener, "_hold", breaks)
        assert first.recv(10) == b""
        with listening.connect() as second:
            second.sendall(LIVE[:10])
            assert statuses(everything(second)) == [408]
