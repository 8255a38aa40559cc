"""Processor time of one small prediction over HTTP, stage by stage, without a socket and without a load generator.

Bytes are given to the connection object as the event loop gives them, and what it writes is thrown away. Processor time
(`time.process_time`) tells nearly the same on a busy machine. The model is that of `bench/serving.py`; every prediction
is logged. Prints a JSON line per stage in microseconds, the least of the repeats; the parts of an answer are measured
each alone and again and again, which is quicker than in their turn. `--profile 16` says where the time goes.

    python bench/request.py
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import json
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop
from serving import body_for, model, product

from volant.core.product import read
from volant.runtime.rows import answers
from volant.serve.app import Application, create_app
from volant.serve.connection import Connection
from volant.serve.listener import Listener
from volant.store import open_store

REQUEST = (
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1:8000\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
)
LIVE = b"GET /v1/health/live HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"


class Nowhere(asyncio.Transport):
    """A transport whose client reads everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.last = b""

    def write(self, data) -> None:
        self.last = bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def abort(self) -> None:
        """There is nobody to tell."""


def least(work: Callable[[], object], count: int, repeats: int) -> float:
    """Microseconds of processor time for one call, the least of the repeats."""
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        for _ in range(count):
            work()
        found.append((time.process_time() - begun) / count * 1e6)
    return min(found)


async def turns(request: bytes, connections: list[Connection], count: int, repeats: int) -> float:
    """Microseconds per request where each turn of the event loop finds one on each connection."""
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        for _ in range(count // len(connections)):
            for connection in connections:
                connection.data_received(request)
            await asyncio.sleep(0)
        found.append((time.process_time() - begun) / (count // len(connections) * len(connections)) * 1e6)
    assert all(connection.outbox.empty for connection in connections)
    return min(found)


def stages(app: Application, body: bytes) -> dict[str, Callable[[], object]]:
    """The parts of an answer, each alone."""
    service = app.services[""]
    traffic, answerer = service.deck.need_traffic(), service.answerer
    slot = traffic.champion.slot
    table = answerer.read(traffic, body)
    batch = slot.batches.of([(table, None)])
    outputs = slot.release.predict(batch)
    work = answerer._begun(traffic, body, "")
    work.found = answers(outputs, slot.signature)
    records = answerer._records(work)
    return {
        "answer, whole": lambda: answerer.answer(traffic, body),
        "answer: decode and check": lambda: answerer.read(traffic, body),
        "answer: rows to arrays": lambda: slot.batches.of([(table, None)]),
        "answer: pipeline, model included": lambda: slot.release.predict(batch),
        "answer: outputs to rows": lambda: answers(outputs, slot.signature),
        "answer: records": lambda: answerer._records(work),
        "answer: log": lambda: service.journal.append(records),
    }


def say(stage: str, micros: float) -> None:
    print(json.dumps({"row": "request", "stage": stage, "cpu_us": round(micros, 1)}), flush=True)


async def measure(app: Application, options: argparse.Namespace) -> None:
    listener, body = Listener(app, asyncio.get_running_loop()), body_for("volant")
    request = REQUEST % len(body) + body
    connections = []
    for _ in range(16):
        connections.append(Connection(listener))
        connections[-1].connection_made(Nowhere())
    await turns(request, connections[:1], options.count, 1)
    for several in (1, 4, 16):
        say(
            f"request, {several} at a time", await turns(request, connections[:several], options.count, options.repeats)
        )
    live = least(lambda: connections[0].data_received(LIVE), options.count, options.repeats)
    say("request without a body or a model", live)
    for name, work in stages(app, body).items():
        say(name, least(work, options.count, options.repeats))
    if options.profile:
        profile = cProfile.Profile()
        profile.enable()
        await turns(request, connections[: options.profile], options.count, 1)
        profile.disable()
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(45)
    await listener.drain(0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="requests per repeat")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--profile", type=int, default=0, help="say where the time goes with so many connections")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = product(Path(folder) / "product", model())
        made = read(place)
        with open_store(made.home) as store:
            app = create_app(made, store)
            app.start()
            for service in app.services.values():
                for work in service._background:
                    work.stop()
            gc.collect()
            gc.freeze()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(measure(app, options))
            app.close()


if __name__ == "__main__":
    main()
