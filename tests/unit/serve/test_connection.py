"""HTTP/1.1 over a socket, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import pytest
from tests.unit.serve.conftest import everything

from volant.serve import connection as module
from volant.serve import intake, listener
from volant.serve.http import Response, Route
from volant.serve.listener import most_connections, sockets
from volant.serve.wire import chunk_of

LIVE = b"GET /v1/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /v1/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
BODY = b'{"row": {"age": 50}}'
HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


def predict(body: bytes = BODY, more: bytes = b"") -> bytes:
    return HEAD + more + b"content-length: %d\r\n\r\n" % len(body) + body


def comes(told: list) -> bool:
    """Whether something is told within a few seconds."""
    until = time.monotonic() + 60
    while not told and time.monotonic() < until:
        time.sleep(0.01)
    return bool(told)


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def test_requests_of_a_connection_are_answered_in_their_order(listening):
    answer = listening.send(LIVE + predict() + LIVE + LAST)
    assert statuses(answer) == [200] * 4
    assert answer.index(b"predictions") > answer.index(b"live")


def test_a_request_may_come_in_pieces(listening):
    whole = predict(more=b"connection: close\r\n")
    assert statuses(listening.send(*[whole[i : i + 3] for i in range(0, len(whole), 3)])) == [200]


def test_a_body_may_come_in_chunks_with_trailers(listening):
    chunks = b"5;name=value\r\n" + BODY[:5] + b"\r\n%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\nx-more: y\r\n\r\n"
    answer = listening.send(HEAD + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n" + chunks)
    assert statuses(answer) == [200]


def test_http_1_0_is_answered_and_closed(listening):
    assert statuses(listening.send(b"GET /v1/health/live HTTP/1.0\r\n\r\n")) == [200]


def test_a_proxy_may_send_the_whole_address(listening):
    answer = listening.send(LAST.replace(b" /v1", b" http://example.org/v1"))
    assert statuses(answer) == [200]


def test_the_answer_to_head_has_no_body(listening):
    answer = listening.send(LAST.replace(b"GET", b"HEAD"))
    assert b"content-length: 13" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_client_that_asks_first_is_told_to_go_on(listening):
    with listening.connect() as connection:
        head = HEAD + b"expect: 100-continue\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY)
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert statuses(everything(connection)) == [200]


def test_a_client_that_asks_first_is_told_not_to_send(listening):
    head = HEAD + b"expect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
    assert statuses(listening.send(head)) == [413]


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: -3\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
        b"POST /v1/predict HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"GET /openapi.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-type: application/json\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nidempotency-key: a\r\nidempotency-key: b\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\nho\x00st: x\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\nhost: x\r\n folded\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\n\r\n",
        b"GET /v1/health/live HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
        b"GET /v1/health/live HTTP/2.0\r\nhost: x\r\n\r\n",
        b"GET /v1/health/live\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda head: repr(head[:60]),
)
def test_what_is_not_a_sound_request_is_refused_and_the_connection_closed(listening, head):
    answer = listening.send(head + b"0\r\n\r\n" + LIVE)
    assert statuses(answer) == [400]
    assert b"connection: close" in answer
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert problem["code"] == "request-invalid"
    assert f"x-request-id: {problem['request_id']}".encode() in answer


def test_garbage_after_good_requests_is_refused_behind_their_answers(listening):
    assert statuses(listening.send(LIVE + predict() + b"\x00garbage\r\n\r\n")) == [200, 200, 400]


def test_an_upgrade_is_not_taken_up(listening):
    answer = listening.send(
        LIVE.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n") + b"abc"
    )
    assert statuses(answer) == [200]


def test_a_head_that_is_too_large_is_refused(listening):
    assert statuses(listening.send(LIVE[:-2] + b"x: " + b"y" * module.MOST_HEAD)) == [431]
    assert statuses(listening.send(LIVE[:-2] + b"x: y\r\n" * (module.MOST_HEADERS + 1) + b"\r\n")) == [431]
    assert statuses(listening.send(b"GET /" + b"x" * module.MOST_TARGET)) == [414]
    assert statuses(listening.send(b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")) == [
        414
    ]


def test_a_refused_short_body_is_swallowed_and_the_connection_goes_on(listening):
    wrong = predict().replace(b"application/json", b"text/plain")
    assert statuses(listening.send(wrong + predict() + LAST)) == [415, 200, 200]


def test_a_refused_long_body_ends_the_connection(listening):
    wrong = HEAD.replace(b"application/json", b"text/plain") + b"content-length: 7000000\r\n\r\n"
    assert statuses(listening.send(wrong, b"x" * 1_000_000)) == [415]


def test_a_path_that_takes_no_body_reads_none(listening):
    assert statuses(listening.send(LIVE[:-2] + b"content-length: 3\r\n\r\nabc" + LAST)) == [200, 200]
    endless = (
        LIVE[:-2] + b"transfer-encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n" + b"ffff\r\n" + b"x"
    )
    assert statuses(listening.send(endless)) == [413]


def test_a_body_in_single_bytes_is_refused(listening):
    crumbs = b"1\r\nx\r\n" * (intake.MOST_PIECES + 2)
    assert statuses(listening.send(HEAD + b"transfer-encoding: chunked\r\n\r\n" + crumbs)) == [413]


def test_a_truncated_request_is_refused(listening):
    for half in (predict()[:-5], HEAD, LIVE[:20]):
        with listening.connect() as connection:
            connection.sendall(half)
            connection.shutdown(socket.SHUT_WR)
            assert statuses(everything(connection)) == [400]


def test_a_client_that_only_stops_sending_is_answered(listening):
    with listening.connect() as connection:
        connection.sendall(LIVE + predict())
        connection.shutdown(socket.SHUT_WR)
        assert statuses(everything(connection)) == [200, 200]


class TestDeadlines:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        for name in ("HEAD_SECONDS", "BODY_SECONDS", "UNREAD_SECONDS", "LINGER_SECONDS"):
            monkeypatch.setattr(listener, name, 0.3)
        monkeypatch.setattr(listener, "BODY_BYTES_A_SECOND", 1_000_000)

    def test_a_slow_head(self, listening):
        with listening.connect() as connection:
            connection.sendall(LIVE[:10])
            assert statuses(everything(connection)) == [408]

    def test_a_slow_head_that_trickles(self, listening):
        with listening.connect() as connection:
            began, answer = time.monotonic(), b""
            connection.settimeout(0.05)
            for byte in LIVE * 10:
                try:
                    connection.send(bytes([byte]))
                    answer += connection.recv(1000)
                    break
                except TimeoutError:
                    continue
        assert statuses(answer) == [408]
        assert time.monotonic() - began < 5

    def test_a_slow_body(self, listening):
        with listening.connect() as connection:
            connection.sendall(predict()[:-3])
            assert statuses(everything(connection)) == [408]

    def test_an_idle_connection_is_left_alone_and_then_closed(self, listening, monkeypatch):
        with listening.connect() as connection:
            connection.sendall(LIVE)
            assert statuses(connection.recv(1000)) == [200]
            time.sleep(0.8)
            connection.sendall(LIVE)
            assert statuses(connection.recv(1000)) == [200]
            monkeypatch.setattr(listener, "KEEP_ALIVE_SECONDS", 0.1)
            assert connection.recv(1000) == b""

    def test_a_client_that_does_not_read(self, listening):
        listening.running.app._routes.add("GET", "/large", Route(lambda _: Response(b"x" * 30_000_000), "/large"))
        with listening.connect() as connection:
            connection.sendall(LIVE.replace(b"/v1/health/live", b"/large") * 3)
            until = time.monotonic() + 60
            while listening.listener.open and time.monotonic() < until:
                time.sleep(0.05)
            assert listening.listener.open == 0
            assert not listening.listener.slow

    def test_an_answer_that_takes_too_long(self, listening):
        cancelled = []

        async def slow(request):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        listening.running.app.deadline_seconds = 0.2
        listening.running.app._routes.add("GET", "/slow", Route(slow, "/slow"))
        answer = listening.send(LIVE.replace(b"/v1/health/live", b"/slow") + LAST)
        assert statuses(answer) == [504, 200]
        assert comes(cancelled)

    def test_a_client_that_leaves_cancels_what_it_asked_for(self, listening):
        begun, cancelled = [], []

        async def slow(request):
            begun.append(True)
            try:
                await asyncio.sleep(30)
            finally:
                cancelled.append(True)

        listening.running.app._routes.add("GET", "/slow", Route(slow, "/slow"))
        with listening.connect() as connection:
            connection.sendall(LIVE.replace(b"/v1/health/live", b"/slow"))
            assert comes(begun)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        assert comes(cancelled)


def pieces(*parts: bytes):
    async def made():
        for part in parts:
            yield part

    return made()


def test_an_answer_may_come_piece_by_piece(listening):
    parts = [b"x" * 100_000] * 20 + [b"", b"end"]
    listening.running.app._routes.add("GET", "/parts", Route(lambda _: Response(pieces(*parts)), "/parts"))
    answer = listening.send(LIVE.replace(b"/v1/health/live", b"/parts") + LAST)
    assert statuses(answer) == [200, 200]
    assert b"transfer-encoding: chunked" in answer
    assert answer.count(b"x" * 100_000) == 20
    assert chunk_of(b"") == b""


def test_an_answer_that_breaks_off_shows(listening):
    async def broken():
        yield b"first"
        raise RuntimeError("secret")

    listening.running.app._routes.add("GET", "/broken", Route(lambda _: Response(broken()), "/broken"))
    with listening.connect() as connection:
        connection.sendall(LIVE.replace(b"/v1/health/live", b"/broken"))
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            answer = everything(connection)
    assert not answer.endswith(b"0\r\n\r\n")
    assert b"secret" not in answer


def test_beyond_so_many_connections_new_ones_are_told_to_come_back(listening):
    listening.listener._most = 3
    held = [listening.connect() for _ in range(3)]
    for one in held:
        one.sendall(LIVE)
        assert statuses(one.recv(1000)) == [200]
    answer = listening.send(b"")
    assert statuses(answer) == [503]
    assert b"retry-after: 1" in answer
    held[0].close()
    time.sleep(0.2)
    assert statuses(listening.send(LAST)) == [200]
    for one in held[1:]:
        one.close()


def test_draining_answers_what_was_sent_and_closes(listening):
    with listening.connect() as idle, listening.connect() as busy:
        idle.sendall(LIVE)
        assert statuses(idle.recv(1000)) == [200]
        busy.sendall(predict()[:-3])
        time.sleep(0.2)
        listening.listener.draining = True
        busy.sendall(predict()[-3:])
        answer = everything(busy)
        assert statuses(answer) == [200]
        assert b"connection: close" in answer
        listening.drain()
        assert everything(idle) == b""
    with pytest.raises(ConnectionRefusedError):
        listening.connect()


def test_an_address_that_is_taken_is_noticed_by_shared_sockets_too():
    from volant.errors import BadInput

    with sockets("127.0.0.1", 0, 2) as first:
        port = first[0].getsockname()[1]
        assert {one.getsockname()[1] for one in first} == {port}
        with pytest.raises(BadInput, match="cannot listen"), sockets("127.0.0.1", port, 2):
            pass


def test_there_is_room_for_a_thousand_connections():
    assert most_connections() >= 1000
