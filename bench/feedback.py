"""Row 22 of the performance board: feedback that is on disk before it is acknowledged, over HTTP.

Prints a JSON line per row: events per second with one and with 32 connections, alone and 100 in a request. The service
of a small product (made by hand, or `--product FOLDER`) runs on one core, the load on another one. The last row says
how many answers were counted, and how many are in the ledger afterwards.

    python bench/feedback.py --seconds 2
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from volant.core.product import read
from volant.serve.process import store_of
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


# ---------------------------------------------------------------- rows


def say(row: str, **facts) -> None:
    print(json.dumps({"row": row, **facts}), flush=True)


def quantiles(seconds: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(seconds, n=1000)
    return {name: round(cut[place] * 1e3, 3) for name, place in (("p50_ms", 499), ("p99_ms", 989), ("p999_ms", 998))}


def feedback(service, ids: list[str], size: int, connections: int, options) -> int:
    found = load(service, feedback_requests(ids, size), connections, options.seconds * 2)
    events = len(found.seconds) * size
    rate = round(events / (options.seconds * 2))
    facts = {"events_per_second": rate, "errors": found.errors, **quantiles(found.seconds)}
    say(f"feedback, {connections} connections, {size} per request", **facts)
    return events


def measure(folder: Path, options) -> None:
    with served(folder, pinned=SERVER) as service:
        first = post("/v1/predict", msgspec.json.encode({"rows": [options.example] * 100}))
        ids = [one["id"] for one in msgspec.json.decode(load_one(service.address, first))["predictions"]]
        said = sum(feedback(service.address, ids, size, n, options) for size, n in ((1, 1), (1, 32), (100, 4)))
        service.stop()
    with store_of(read(folder)) as store:
        counts = store.counts()
    say("kept", predictions_answered=100, predictions=counts["predictions"], said=said, feedback=counts["feedback"])
    if counts["predictions"] < 100 or counts["feedback"] < said:
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
    parser.add_argument("--product", type=Path, help="a product with a champion (its store is written to)")
    parser.add_argument("--row", default=json.dumps(ROW), help="a row that it takes, as JSON")
    options = parser.parse_args()
    options.example = json.loads(options.row)
    os.sched_setaffinity(0, CLIENT)
    say("machine", cores=len(CORES), load=os.getloadavg()[0], seconds=options.seconds)
    if options.product:
        measure(options.product, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(handmade.make_served_product(Path(folder)).folder, options)


if __name__ == "__main__":
    main()
