"""Requests, responses and routes."""

from __future__ import annotations

import asyncio
import gzip

import httpx
import pytest

from volant.serve.asgi import Asgi
from volant.testing import handmade


@pytest.mark.parametrize("given", ["a1-B.c:d_e", "x" * 128])
def test_a_sane_request_id_is_taken_over(running, given):
    assert running.get("/v1/health/live", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "é".encode()])
def test_another_one_is_replaced(running, given):
    got = running.get("/v1/health/live", headers={"x-request-id": given}).headers["x-request-id"]
    assert got != given
    assert len(got) == 36


def test_refusals_carry_the_id_too(running):
    answer = running.get("/nowhere", headers={"x-request-id": "abc"})
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "abc"


def test_a_problem_says_all_that_helps(running):
    problem = running.post("/v1/predict", content=b"{", headers={"content-type": "application/json"}).json()
    assert problem["type"] == "/errors/request-invalid"
    assert problem["title"] == "a request is malformed"
    assert problem["status"] == 400
    assert problem["detail"]
    assert set(problem["troubles"][0]) <= {"what", "where", "got", "choices", "meant", "fix"}
    assert running.get(problem["type"]).text.startswith("request-invalid: ")


def test_what_nobody_foresaw_is_a_500_that_tells_nothing(running, monkeypatch, caplog):
    def fails(body, most_rows):
        raise RuntimeError("anna, 4711")

    monkeypatch.setattr(running.service.deck.champion.reader, "read", fails)
    answer = running.post("/v1/predict", json={"row": {}})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "4711" not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text


def test_the_wrong_method_is_told_the_right_ones(running):
    answer = running.get("/v1/predict")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert running.post("/docs").headers["allow"] == "GET, HEAD"


def test_head_is_answered_like_get(running):
    assert running.call("HEAD", "/docs").status_code == 200


@pytest.mark.parametrize("path", ["/v1/predict/", "/V1/predict", "/v1/../etc/passwd", "/errors/nothing", "/%00"])
def test_other_paths_are_not_found(running, path):
    assert running.get(path).status_code == 404


@pytest.mark.parametrize("given", ["text/plain", "application/xml", "", "application/json; charset=utf-16"])
def test_other_media_types_are_refused(running, given):
    answer = running.post("/v1/predict", content=b"{}", headers={"content-type": given})
    assert answer.status_code == 415
    assert answer.headers["accept"].startswith("application/json, ")


def test_a_body_may_be_packed_by_gzip(running):
    packed = gzip.compress(b'{"row": {"age": 50}}')
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert running.post("/v1/predict", content=packed, headers=headers).status_code == 200
    for broken in (b"x", packed[:-3], packed + packed, packed + b"x"):
        assert running.post("/v1/predict", content=broken, headers=headers).status_code == 400


def test_a_body_that_is_packed_otherwise_is_refused(running):
    headers = {"content-type": "application/json", "content-encoding": "br"}
    assert running.post("/v1/predict", content=b"x", headers=headers).status_code == 415


def test_what_a_packed_body_holds_counts(start):
    running = start(handmade.FILE_TEXT + "[serve]\nmax_body_mb = 0.001\n")
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = running.post("/v1/predict", content=gzip.compress(b" " * 100_000), headers=headers)
    assert answer.status_code == 413


def test_many_small_pieces_are_refused(running):
    async def crumbs():
        for _ in range(5000):
            yield b" "

    async def ask():
        transport = httpx.ASGITransport(Asgi(running.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.post("/v1/predict", content=crumbs(), headers={"content-type": "application/json"})

    assert asyncio.run(ask()).status_code == 413


class TestOtherPages:
    """Pages from elsewhere may not read answers, unless the product file names their origin."""

    def test_none_by_default(self, running):
        headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
        assert running.call("OPTIONS", "/v1/predict", headers=headers).status_code == 405
        answer = running.post("/v1/predict", json={"row": {"age": 1}}, headers={"origin": "https://app.example"})
        assert "access-control-allow-origin" not in answer.headers

    def test_those_that_are_named(self, start):
        running = start(handmade.FILE_TEXT + '[serve]\ncors = ["https://app.example"]\n')
        asks = {"origin": "https://app.example", "access-control-request-method": "POST"}
        asked = running.call("OPTIONS", "/v1/predict", headers=asks)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-methods"] == "POST"
        for body in ({"row": {"age": 1}}, {}):
            answer = running.post("/v1/predict", json=body, headers={"origin": "https://app.example"})
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert answer.headers["vary"] == "origin"
        other = running.call("OPTIONS", "/v1/predict", headers={**asks, "origin": "https://other.example"})
        assert other.status_code == 405
        assert running.call("OPTIONS", "/nowhere", headers=asks).status_code == 404


def test_a_body_over_the_cap_is_refused_before_it_is_read(start):
    running = start(handmade.FILE_TEXT + "[serve]\nmax_body_mb = 0.001\n")
    answer = running.post("/v1/predict", json={"row": {"age": "x" * 2000}})
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


def test_a_body_over_the_cap_is_refused_while_it_is_read(start):
    running = start(handmade.FILE_TEXT + "[serve]\nmax_body_mb = 0.001\n")
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 300

    async def ask():
        transport = httpx.ASGITransport(Asgi(running.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.post("/v1/predict", content=endless(), headers={"content-type": "application/json"})

    assert asyncio.run(ask()).status_code == 413
    assert sent < 10


def test_a_client_that_leaves_is_not_answered(running):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/predict", "headers": headers}
    asyncio.run(Asgi(running.app)(scope, receive, send))
    assert sent == []


def test_responses_are_not_cached_or_guessed_at(running):
    headers = running.get("/v1/health/live").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
