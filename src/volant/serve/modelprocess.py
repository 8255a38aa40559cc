"""A process that predicts or explains for one that answers. It may crash, hang or run out of memory: nobody else does.

It reads bodies, predicts, writes its own log, and gives back whole answers. It opens no store and ends with the process
that started it.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import astuple

from volant.core.clock import Clock
from volant.core.product import Product, read
from volant.errors import Failure, VolantError, place_of
from volant.serve.answering import Answered, Answerer, PredictionFailed
from volant.serve.explaining import Explaining
from volant.serve.journal import Journal
from volant.serve.link import Gone, Link, told
from volant.serve.slot import Slot, keep_out_of_the_collector, load
from volant.serve.traffic import Arm, Traffic
from volant.store.log import PredictionLog
from volant.store.media_log import MediaLog
from volant.store.predictions import MEDIA

REMEMBERED = 3
"""Versions of the traffic that are kept: requests that began before a swap end as they began."""


class Segments:
    """The prediction log without a ledger: other processes move it there."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def prediction_log(self) -> PredictionLog:
        return PredictionLog(self.home / "segments")

    def media_log(self) -> MediaLog:
        return MediaLog(self.home / MEDIA)

    def index_segments(self) -> int:
        return 0

    def waiting_bytes(self) -> int:
        return 0


class Model:
    """Does what it is told to in messages."""

    def __init__(self, product: Product, threads: int, *, traced: bool = False) -> None:
        self._home = product.home
        self._threads = threads
        self._signers = product.file.sign.signers
        self._journal = Journal(Segments(product.home), 1)
        self._answerer = Answerer(product, self._journal, Clock())
        self._answerer.traced = traced
        self._explaining = Explaining(product)
        self._slots: dict[str, Slot] = {}
        self._traffic: dict[int, Traffic] = {}

    def reply(self, message: Mapping[str, Any]) -> Any:
        """The reply to one message; an error is told in the place of what was asked for."""
        try:
            if message["do"] == "follow":
                return self._follow(message["version"], message["arms"])
            traffic = self._traffic[message["version"]]
            if message["do"] == "explain":
                return [self._explained(traffic, body) for body in message["bodies"]]
            bodies = message["bodies"]
            self._journal.look()
            self._journal.refuse_if_failed()
            return [_plain(one) for one in self._answerer.answer_all(traffic, bodies, message["names"])]
        except VolantError as error:
            return told(error)
        except MemoryError:
            fix = "send fewer rows, or raise serve.model_memory_mb"
            return told(Failure("there is no memory for so many rows", code="overloaded", fix=fix))
        except Exception as error:  # the process must live: others wait for it
            return told(Failure(f"something went wrong inside volant: {place_of(error)}", code="internal"))

    def _follow(self, version: int, arms: Sequence[Sequence[Any]]) -> str:
        made = [Arm(self._slot(digest), deployment, policy, share) for digest, deployment, policy, share in arms]
        self._traffic[version] = Traffic(made[0], tuple(made[1:]), version)
        for old in sorted(self._traffic)[:-REMEMBERED]:
            del self._traffic[old]
        used = {arm.slot.release.digest for t in self._traffic.values() for arm in (t.champion, *t.arms)}
        self._slots = {digest: slot for digest, slot in self._slots.items() if digest in used}
        keep_out_of_the_collector()
        return "ready"

    def _slot(self, digest: str) -> Slot:
        if digest not in self._slots:
            self._slots[digest] = load(
                self._home / "candidates" / digest, digest, threads=self._threads, signers=self._signers
            )
        return self._slots[digest]

    def _explained(self, traffic: Traffic, body: bytes) -> Any:
        try:
            return self._explaining.answer(traffic.champion.slot, body)
        except VolantError as error:
            return told(error)

    def close(self) -> None:
        self._journal.close()


def _plain(one: Answered | VolantError) -> Any:
    if isinstance(one, VolantError):
        parts = one.parts if isinstance(one, PredictionFailed) else ()
        return {**told(one), "parts": [_part(part) for part in parts]}
    times = None if one.times is None else astuple(one.times)
    return [one.body, [_part(part) for part in one.parts], list(one.ids), times]


def _part(part: Any) -> list[Any]:
    return [part.release, part.rows, part.seconds, part.failed]


def limit_memory(megabytes: float) -> None:
    """Let this process have no more memory of its own than that; 0 is no limit."""
    if megabytes:
        size = int(megabytes * 1_000_000)
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def run(connected: socket.socket) -> None:
    """Do what is asked until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all at once; this process ends last
    link = Link(connected)
    begin = link.receive()
    model = Model(read(Path(begin["folder"])), begin["threads"], traced=begin["traced"])
    limit_memory(begin["memory_mb"])
    try:
        while True:
            link.send(model.reply(link.receive()))
    except Gone:
        model.close()


if __name__ == "__main__":
    run(socket.socket(fileno=int(sys.argv[1])))
