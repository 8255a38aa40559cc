"""Row 21 and 22 of the performance board, first version: requests and feedback per second over HTTP, logging on.

Prints a JSON line per row. The service of a small product (made by hand, or `--product FOLDER`) and a bare ASGI
application on the same server, which decodes and answers the same bytes and does nothing else, are measured in
turns (A B B A) on the same core; the load comes from this process on another one. Each row says how many answers
were counted and, for the service, how many predictions are in its ledger afterwards.

    python bench/serve.py --seconds 2 --repeats 5
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from volant.core.product import read
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

CORES = sorted(os.sched_getaffinity(0))
SERVER, CLIENT = CORES[:1], CORES[-1:]
ROW = {"age": 39, "plan": "gold"}


# ---------------------------------------------------------------- load


class Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next, until the time is over."""

    def __init__(self, requests: Iterator[bytes], until: float, found: Found) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._requests, self._until, self._found = requests, until, found
        self._buffer = b""

    def connection_made(self, transport) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        if self._began >= self._until:
            self._transport.close()
            return
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            return
        self._found.add(head[9:12] == b"200", time.perf_counter() - self._began, body)
        self._buffer = b""
        self._send()

    def connection_lost(self, error) -> None:
        self.done.set_result(None)


class Found:
    """What the load saw."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.errors = 0
        self.last = b""

    def add(self, good: bool, seconds: float, body: bytes) -> None:
        self.seconds.append(seconds)
        self.errors += not good
        self.last = body


def post(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def load(address: tuple[str, int], requests: Iterator[bytes], connections: int, seconds: float) -> Found:
    """Closed loop: so many connections, each with one request under way."""
    found = Found()

    async def run() -> None:
        until = time.perf_counter() + seconds
        loop = asyncio.get_running_loop()
        made = [
            await loop.create_connection(lambda: Connection(requests, until, found), *address)
            for _ in range(connections)
        ]
        await asyncio.gather(*(protocol.done for _, protocol in made))

    import uvloop

    uvloop.run(run())
    return found


def for_ever(request: bytes) -> Iterator[bytes]:
    while True:
        yield request


def feedback_requests(ids: list[str], size: int) -> Iterator[bytes]:
    """Ratings by ever new actors on predictions that exist."""
    number = 0
    while True:
        items = []
        for _ in range(size):
            number += 1
            items.append(
                {"prediction_id": ids[number % len(ids)], "kind": "rating", "value": "up", "actor": f"a{number}"}
            )
        yield post("/v1/feedback", msgspec.json.encode({"feedback": items}))


# ---------------------------------------------------------------- the bare rival


def bare(port: int) -> None:
    """The same server around an application that decodes, makes the same answer, and encodes."""
    import uvicorn

    async def app(scope, receive, send) -> None:
        message = await receive()
        rows = msgspec.json.decode(message["body"])["rows"]
        answer = {"id": "0" * 36, "label": "no", "probabilities": {"no": 0.52, "yes": 0.48}, "audit": False}
        body = msgspec.json.encode({"release": "0" * 12, "contract": 1, "predictions": [answer for _ in rows]})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    options = {"http": "httptools", "loop": "uvloop", "lifespan": "off", "access_log": False, "log_config": None}
    uvicorn.run(app, port=port, **options)


@contextmanager
def bare_rival() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, __file__, "--bare", str(port)])
    os.sched_setaffinity(process.pid, SERVER)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(30)


# ---------------------------------------------------------------- rows


def say(row: str, **facts) -> None:
    print(json.dumps({"row": row, **facts}), flush=True)


def quantiles(seconds: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(seconds, n=1000)
    return {name: round(cut[place] * 1e3, 3) for name, place in (("p50_ms", 499), ("p99_ms", 989), ("p999_ms", 998))}


def interval(values: list[float]) -> list[float]:
    """The 95 % bootstrap interval of the median."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return [round(medians[49], 3), round(medians[1949], 3)]


def predictions(service, rival, connections: int, options) -> int:
    """One row: requests per second of both, in turns; gives how many answers the service sent."""
    request = for_ever(post("/v1/predict", msgspec.json.encode({"rows": [options.example]})))
    rates: dict[str, list[float]] = {"volant": [], "bare": []}
    seen: dict[str, list[float]] = {"volant": [], "bare": []}
    errors = 0
    for turn in range(options.repeats * 2):
        order = ("volant", "bare") if turn % 2 == 0 else ("bare", "volant")
        for name in order:
            found = load(service if name == "volant" else rival, request, connections, options.seconds / 2)
            rates[name].append(len(found.seconds) / (options.seconds / 2))
            seen[name] += found.seconds
            errors += found.errors
    share = [ours / theirs for ours, theirs in zip(rates["volant"], rates["bare"], strict=True)]
    say(
        f"predict, {connections} connections",
        rival="bare ASGI on uvicorn",
        requests_per_second=round(statistics.median(rates["volant"])),
        rival_requests_per_second=round(statistics.median(rates["bare"])),
        of_rival=round(statistics.median(share), 3),
        of_rival_95=interval(share),
        errors=errors,
        **quantiles(seen["volant"]),
        **{f"rival_{name}": value for name, value in quantiles(seen["bare"]).items()},
    )
    return len(seen["volant"])


def feedback(service, ids: list[str], size: int, connections: int, options) -> int:
    found = load(service, feedback_requests(ids, size), connections, options.seconds * 2)
    events = len(found.seconds) * size
    rate = round(events / (options.seconds * 2))
    facts = {"events_per_second": rate, "errors": found.errors, **quantiles(found.seconds)}
    say(f"feedback, {connections} connections, {size} per request", **facts)
    return events


def measure(folder: Path, options) -> None:
    with served(folder, pinned=SERVER) as service, bare_rival() as rival:
        first = post("/v1/predict", msgspec.json.encode({"rows": [options.example] * 100}))
        ids = [one["id"] for one in msgspec.json.decode(load_one(service.address, first))["predictions"]]
        sent = 100 + sum(predictions(service.address, rival, n, options) for n in (1, 32))
        said = sum(feedback(service.address, ids, size, n, options) for size, n in ((1, 1), (1, 32), (100, 4)))
        service.stop()
    with open_store(read(folder).home) as store:
        counts = store.counts()
    say("kept", predictions_answered=sent, predictions=counts["predictions"], said=said, feedback=counts["feedback"])
    if counts["predictions"] < sent or counts["feedback"] < said:
        sys.exit("an acknowledged row is missing")


def load_one(address: tuple[str, int], request: bytes) -> bytes:
    """The body that answers one request."""
    with socket.create_connection(address) as connection:
        connection.sendall(request)
        data = b""
        while True:
            data += connection.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            if body and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
                return body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds per measurement")
    parser.add_argument("--repeats", type=int, default=5, help="repeats of each measurement")
    parser.add_argument("--product", type=Path, help="a product with a champion (its store is written to)")
    parser.add_argument("--row", default=json.dumps(ROW), help="a row that it takes, as JSON")
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        bare(options.bare)
        return
    options.example = json.loads(options.row)
    os.sched_setaffinity(0, CLIENT)
    say("machine", cores=len(CORES), load=os.getloadavg()[0], seconds=options.seconds, repeats=options.repeats)
    if options.product:
        measure(options.product, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(handmade.make_served_product(Path(folder)).folder, options)


if __name__ == "__main__":
    main()
