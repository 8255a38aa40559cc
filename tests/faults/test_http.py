"""Rows of the list of faults that concern HTTP, against the running service. A test's name begins with its row."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from volant.serve.app import create_app
from volant.serve.asgi import Asgi
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

ROW = {"age": 50, "plan": "gold"}
JSON = {"content-type": "application/json"}
TEXT = handmade.FILE_TEXT + "[serve]\nmax_rows = 1000\nmax_body_mb = 0.5\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    product = handmade.make_served_product(tmp_path_factory.mktemp("service"), TEXT)
    with served(product.folder) as running:
        running.product = product
        yield running


@pytest.fixture
def client(service):
    """A client; afterwards the service must still answer others."""
    with httpx.Client(base_url=service.url, timeout=30) as made:
        yield made
    assert httpx.post(service.url + "/v1/predict", json={"row": ROW}).status_code == 200


def refused(answer, status, where=None):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert (problem["status"], problem["code"]) == (status, problem["type"].removeprefix("/errors/"))
    for leak in ("Traceback", "/src/", ".py", ".volant", "site-packages"):
        assert leak not in answer.text
    if where is not None:
        assert where in [trouble.get("where") for trouble in problem["troubles"]]


def everything(connection) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def raw(service, *data: bytes) -> bytes:
    """Everything that comes back until the connection is closed."""
    with socket.create_connection(service.address, timeout=60) as connection:
        for piece in data:
            connection.sendall(piece)
        return everything(connection)


def body(content: bytes | str) -> dict:
    return {"content": content, "headers": JSON}


def test_01_truncated_body(service, client):
    head = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n"
    with socket.create_connection(service.address, timeout=30) as connection:
        connection.sendall(head + b'{"row": {"a')
        connection.shutdown(socket.SHUT_WR)
        assert everything(connection).startswith(b"HTTP/1.1 400 ")


def test_02_announced_body_over_the_cap(service, client):
    head = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n"
    assert raw(service, head).startswith(b"HTTP/1.1 413 ")


def test_03_chunked_body_over_the_cap(client):
    refused(client.post("/v1/predict", content=(b" " * 9_000 for _ in range(100)), headers=JSON), 413, "body")


def test_04_three_megabytes_in_single_bytes(service, client):
    head = (
        b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    with socket.create_connection(service.address, timeout=60) as connection:
        connection.sendall(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(300):
                connection.sendall(b"1\r\nx\r\n" * 10_000)
        assert everything(connection).startswith(b"HTTP/1.1 413 ")


def test_05_two_lengths(service, client):
    start = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    both = b"content-length: 3\r\ntransfer-encoding: chunked\r\n"
    for lengths in (both, b"transfer-encoding: chunked\r\ncontent-length: 3\r\n", b"content-length: 3\r\n" * 2):
        answer = raw(service, start + lengths + b"\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 4") == 1
        assert b"connection: close" in answer


def timed(answer, *arguments) -> tuple[bytes, float]:
    began = time.monotonic()
    return answer(*arguments), time.monotonic() - began


def slowly(service, data: bytes, seconds: float) -> bytes:
    """What comes back while `data` is sent byte by byte."""
    with socket.create_connection(service.address, timeout=60) as connection:
        connection.settimeout(seconds)
        for byte in data:
            try:
                connection.sendall(bytes([byte]))
                if part := connection.recv(65536):
                    return part
            except TimeoutError:
                continue
        connection.settimeout(60)
        return everything(connection)


@pytest.mark.slow
def test_06_and_07_slow_heads_and_bodies(service, client):
    """Both at once: each takes as long as its deadline."""
    head = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 400\r\n"
    with ThreadPoolExecutor(4) as pool:
        silent = pool.submit(timed, raw, service, head)
        trickling = pool.submit(timed, slowly, service, head + b"x: " + b"y" * 1000, 0.2)
        body = pool.submit(timed, raw, service, head + b"\r\n{")
        dripping = pool.submit(timed, slowly, service, head + b"\r\n" + b" " * 400, 0.2)
        for found in (silent, trickling, body, dripping):
            answer, seconds = found.result()
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in answer
            assert seconds < (11 if found in (silent, trickling) else 14)


@pytest.mark.slow
def test_08_slow_reader(service, client):
    """Somebody asks for much, again and again, and reads nothing: the connection is closed and its slot free."""
    rows = json.dumps({"rows": [ROW] * 1000}).encode()
    request = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(service.address)
        connection.settimeout(60)
        closed = False
        try:
            for _ in range(100_000):
                connection.sendall(request % len(rows) + rows)
        except (ConnectionError, TimeoutError) as error:
            closed = isinstance(error, ConnectionError)
    assert closed


def test_09_a_thousand_idle_sockets(service, client):
    held = [socket.create_connection(service.address) for _ in range(1000)]
    try:
        for _ in range(20):
            assert client.post("/v1/predict", json={"row": ROW}).status_code == 200
            assert httpx.get(service.url + "/v1/health/live").status_code == 200
    finally:
        for one in held:
            one.close()


def test_10_large_head(service, client):
    head = b"GET /v1/health/live HTTP/1.1\r\nhost: x\r\n"
    assert raw(service, head + b"x: " + b"y" * 65_536 + b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    assert raw(service, head + b"".join(b"x%d: y\r\n" % n for n in range(5000)) + b"\r\n").startswith(b"HTTP/1.1 431 ")


def test_11_long_address(client):
    refused(client.get("/" + "x" * 5_000), 414)
    refused(client.get("/nowhere?" + "x" * 5_000), 414)


def test_12_strange_paths(service, client):
    for path in (b"/%00", b"/../../etc/passwd", b"/v1/predict/../../x", b"/errors/../docs", b"/errors/%2e%2e"):
        head = b"GET " + path + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        assert raw(service, head).startswith(b"HTTP/1.1 404 ")


def test_13_wrong_method(client):
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "TRACE"):
        answer = client.request(method, "/v1/predict")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"


def test_14_wrong_media_type(client):
    refused(client.post("/v1/predict", data={"rows": "1"}), 415, "Content-Type")
    refused(client.post("/v1/predict", files={"rows": b"1"}), 415, "Content-Type")
    refused(client.post("/v1/feedback", content="x"), 415, "Content-Type")


def test_15_empty_body(client):
    refused(client.post("/v1/predict", **body(b"")), 400, "body")
    refused(client.post("/v1/feedback", headers=JSON), 400, "body")


def test_16_gzip_bomb(client):
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 500_000
    refused(client.post("/v1/predict", content=bomb, headers={**JSON, "content-encoding": "gzip"}), 413, "body")


def test_16_bombs_take_no_memory(service, client):
    """Eight at once that would unpack to 400 MB each; what the processes ever held is told by the system."""
    packing, zeros = zlib.compressobj(9, wbits=31), bytes(4_000_000)
    bomb = b"".join(packing.compress(zeros) for _ in range(100)) + packing.flush()
    headers = {**JSON, "content-encoding": "gzip"}
    before = most_memory(service)
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(httpx.post, service.url + "/v1/predict", content=bomb, headers=headers) for _ in range(8)]
    for one in sent:
        refused(one.result(), 413, "body")
    assert most_memory(service) < before + 40_000_000


def most_memory(service) -> int:
    """The most bytes that the processes of a service have held, each at its own time."""
    root = service.process.pid
    family = [root, *map(int, Path(f"/proc/{root}/task/{root}/children").read_text().split())]
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in family]
    return sum(int(line.split()[1]) * 1024 for text in texts for line in text.splitlines() if line.startswith("VmHWM"))


def test_17_multipart_with_ten_thousand_parts(client):
    parts = [(f"part{n}", ("x", b"")) for n in range(10_000)]
    answer = client.post("/v1/predict", files=parts)
    assert answer.status_code in (413, 415), "a product whose columns are no files takes no parts at all"


def test_sound_is_refused_where_no_column_takes_it(service, client):
    """There is no type for sound yet: whatever form it comes in, it is refused unread, and nothing is decoded."""
    wav = (
        b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\xff\xff\xff\xff"
        + bytes(16)
        + b"data\x00\x00\x00\x00"
    )
    refused(client.post("/v1/predict", files={"sound": ("x.wav", wav, "audio/wav")}), 415, "Content-Type")
    refused(client.post("/v1/predict", content=wav, headers={"content-type": "audio/wav"}), 415, "Content-Type")
    for sound in (base64.b64encode(wav).decode(), "data:audio/wav;base64,", ""):
        refused(client.post("/v1/predict", json={"row": {**ROW, "sound": sound}}), 422, "row.sound")


def test_18_not_http(service, client):
    answer = raw(service, b"\x16\x03\x01 what is this?\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


def test_18_pipelined_garbage(service, client):
    good = b"GET /v1/health/live HTTP/1.1\r\nhost: x\r\n\r\n"
    answer = raw(service, good * 3 + b"\x00\x01garbage\r\n\r\n" + good)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"400"]


def test_19_bad_json(client):
    for content in (b"{", b"rows=1", b'{"rows": [{"age": 50,}]}', b"{'rows': []}", b'{"rows": []} {}'):
        refused(client.post("/v1/predict", **body(content)), 400)


def test_20_invalid_utf8(client):
    refused(client.post("/v1/predict", **body(b'{"rows": [{"age": 50, "plan": "\xff\xfe"}]}')), 400)
    refused(client.post("/v1/predict", **body('{"rows": []}'.encode("utf-16"))), 400)


def test_21_nesting(client):
    for content in (b"[" * 100_000, b'{"a":' * 50_000, b"[" * 100_000 + b"]" * 100_000):
        refused(client.post("/v1/predict", **body(content)), 400)


def test_22_bare_nan(client):
    for word in (b"NaN", b"Infinity", b"-Infinity"):
        refused(client.post("/v1/predict", **body(b'{"rows": [{"age": ' + word + b"}]}")), 400)


def test_23_integer_of_400_digits(client):
    refused(client.post("/v1/predict", **body(b'{"rows": [{"age": ' + b"9" * 400 + b"}]}")), 422, "rows[0].age")
    refused(client.post("/v1/predict", **body(b'{"rows": [{"age": ' + b"9" * 9000 + b"}]}")), 422)


def test_24_duplicate_keys(client):
    for content in (b'{"rows": [{"age": 50, "age": 51}]}', b'{"row": {"age": 1}, "row": {"age": 2}}'):
        refused(client.post("/v1/predict", **body(content)), 400)


def test_25_wrong_fields(client):
    for row, where in (({}, "age"), ({"age": [1]}, "age"), ({"age": "old"}, "age"), ({**ROW, "hight": 1}, "hight")):
        refused(client.post("/v1/predict", json={"rows": [ROW, row]}), 422, f"rows[1].{where}")


def test_26_wrong_shape(client):
    for value in ([], {}, None, 7, "rows", {"rows": []}, {"rows": {}}, {"rows": [[50]]}, {"rows": [None]}):
        refused(client.post("/v1/predict", **body(json.dumps(value))), 422)


def test_27_a_million_rows(client):
    refused(client.post("/v1/predict", **body(b'{"rows": [' + b"{}," * 100_000 + b"{}]}")), 413, "rows")
    refused(client.post("/v1/predict", **body(b'{"rows": [' + b"{}," * 999_999 + b"{}]}")), 413, "body")


def test_28_unknown_category(client):
    answer = client.post("/v1/predict", json={"rows": [{"age": 50, "plan": "platinum"}]})
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["flags"] == {"plan": "unknown category"}


def test_70_duplicate_feedback(client, service):
    [answer] = client.post("/v1/predict", json={"row": ROW}).json()["predictions"]
    said = {"prediction_id": answer["id"], "kind": "rating", "value": "up", "idempotency_key": "once"}
    receipts = [client.post("/v1/feedback", json={"feedback": [said]}).json()["feedback"][0] for _ in range(3)]
    assert [receipt["duplicate"] for receipt in receipts] == [False, True, True]
    assert len({receipt["id"] for receipt in receipts}) == 1


def test_70_a_key_that_came_with_other_feedback(client):
    """It is no replay: acknowledged as one, what was said would be lost."""
    answers = client.post("/v1/predict", json={"rows": [ROW] * 2}).json()["predictions"]
    said = [
        {"prediction_id": one["id"], "kind": "rating", "value": "up", "idempotency_key": "reused"} for one in answers
    ]
    refused(client.post("/v1/feedback", json={"feedback": said}), 422, "feedback[1].idempotency_key")
    assert client.post("/v1/feedback", json={"feedback": said[:1]}).status_code == 200
    refused(client.post("/v1/feedback", json={"feedback": said[1:]}), 422, "feedback[0].idempotency_key")


def test_71_feedback_for_an_unknown_id(client):
    said = {"prediction_id": "01980000-0000-7000-8000-000000000000", "kind": "rating", "value": "up"}
    refused(client.post("/v1/feedback", json={"feedback": [said]}), 404, "feedback[0].prediction_id")


def changed(client, wanted):
    """Whether readiness comes to report that the product file changed, or did not."""
    until = time.monotonic() + 10
    while client.get("/v1/health/ready").json()["config_changed"] is not wanted:
        assert time.monotonic() < until
        time.sleep(0.05)
    return wanted


def test_84_product_file_edited_while_serving(client, service):
    file = service.product.folder / "volant.toml"
    for text in (TEXT.replace("1000", "1"), "half a fi", ""):
        file.write_text(text)
        assert changed(client, True) is True
        answer = client.post("/v1/predict", json={"rows": [ROW] * 2})
        assert answer.status_code == 200, "what was read at the start holds, whole"
        file.write_text(TEXT)
        assert changed(client, False) is False


def test_63_request_before_ready(tmp_path):
    """A service that was started before there was a release; it answers as soon as there is one."""
    product = handmade.make_product(tmp_path)
    with open_store(product.home) as store:
        app = create_app(product, store)
        app.start()
        try:
            assert asyncio.run(status_of(app)) == 503
            handmade.promote(store, handmade.write_release(product.home))
            app.services[""].watch()
            assert asyncio.run(status_of(app)) == 200
        finally:
            app.close()


async def status_of(app) -> int:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(Asgi(app)), base_url="http://service") as client:
        return (await client.post("/v1/predict", json={"row": ROW})).status_code
