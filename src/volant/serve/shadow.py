"""Shadows: releases that see the requests and answer nobody.

They run in a process of their own, which gets the cores only when nobody else wants them. It is shown each request once
that was answered. Where it does not keep up, requests are dropped, and counted: nothing ever waits for a shadow.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from volant.core.clock import Clock
from volant.core.product import Product, read
from volant.errors import VolantError, place_of
from volant.release.traffic import standing
from volant.runtime.rows import answers
from volant.serve.answering import Answerer
from volant.serve.journal import Journal
from volant.serve.process import store_of
from volant.serve.shown import MOST_BYTES, reachable
from volant.serve.slot import Slot, load
from volant.serve.traffic import Arm, Traffic
from volant.serve.work import Part
from volant.store import Store
from volant.store.part import iso
from volant.store.predictions import SHADOW
from volant.store.records import DeploymentRow, PredictionRecord

FOLLOW_SECONDS = 1.0
_PATIENCE = 10.0
_logger = logging.getLogger("volant.serve")
_decoder = msgspec.msgpack.Decoder(tuple[list[str], bytes])


class Shadow:
    """Predicts with the shadows of a product what it is shown, and logs what they would have answered."""

    def __init__(self, product: Product, store: Store) -> None:
        self._product = product
        self._store = store
        self._clock = Clock()
        self._log = Journal(store, int(product.file.serve.max_log_mb * 1_000_000))
        self._reader = Answerer(product, self._log, self._clock)
        self._slots: dict[str, tuple[DeploymentRow, Slot]] = {}
        self._failed: set[str] = set()

    def follow(self) -> None:
        """Take up the shadows that the history names now."""
        wanted = {event.release: event for event in standing(self._store.deployments()).shadows}
        self._slots = {digest: known for digest, known in self._slots.items() if digest in wanted}
        for digest, event in wanted.items():
            if digest not in self._slots and digest not in self._failed:
                try:
                    self._slots[digest] = event, self._loaded(digest)
                except VolantError as error:
                    self._failed.add(digest)
                    _logger.error("shadow %s cannot be loaded: %s", digest[:12], error.what)

    def _loaded(self, digest: str) -> Slot:
        folder = self._product.home / "candidates" / digest
        return load(folder, digest, signers=self._product.file.sign.signers)

    def see(self, ids: Sequence[str], body: bytes) -> None:
        """Answer one request in private."""
        for event, slot in list(self._slots.values()):
            try:
                self._log.append(self._records(event, slot, ids, body))
            except Exception as error:  # whatever a shadow does is its own business
                _logger.error("shadow %s failed: %s", slot.name, place_of(error))

    def _records(self, event: DeploymentRow, slot: Slot, ids: Sequence[str], body: bytes) -> list[PredictionRecord]:
        table = slot.of_people(self._reader.read(Traffic(Arm(slot, event.seq)), body))
        begun = time.perf_counter()
        outputs = slot.release.predict(slot.batches.of([(table, None)]))
        part = Part(slot.name, len(table), time.perf_counter() - begun)
        at, latency = iso(self._clock.now()), int(part.seconds * 1e6)
        return [
            PredictionRecord(
                id=id,
                release=slot.release.digest,
                at=at,
                input={},
                output=found,
                deployment=event.seq,
                policy=SHADOW,
                propensity=0.0,
                latency_us=latency,
            )
            for id, found in zip(ids, answers(outputs, slot.signature), strict=True)
        ]

    def close(self) -> None:
        self._log.close(index=False)


class ShadowKeeper:
    """Runs the process of a product's shadows for as long as there are any."""

    def __init__(self, product: Product, store: Store, path: Path) -> None:
        self._product = product
        self._store = store
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Start the process where there are shadows, end it where there are none."""
        wanted = bool(standing(self._store.deployments()).shadows)
        if self._process is not None and self._process.poll() is not None:
            _logger.error("the shadow ended (status %d), it is started anew", self._process.returncode)
            self._process = None
        if wanted and self._process is None:
            command = [sys.executable, "-m", "volant.serve.shadow", str(self._product.folder), str(self._path)]
            self._process = subprocess.Popen(command)
        elif not wanted:
            self.stop()

    def stop(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def run(folder: Path, path: Path) -> None:
    """See requests until SIGTERM comes or whoever started this process is gone."""
    _step_back()
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, product = os.getppid(), read(folder)
    path.unlink(missing_ok=True)
    with store_of(product) as store, contextlib.closing(Shadow(product, store)) as shadow, _listening(path) as seen:
        followed = 0.0
        while not stopping and os.getppid() == parent:
            if time.monotonic() - followed >= FOLLOW_SECONDS:
                shadow.follow()
                followed = time.monotonic()
            with contextlib.suppress(TimeoutError):
                ids, body = _decoder.decode(seen.recv(2 * MOST_BYTES))
                shadow.see(ids, body)


def _step_back() -> None:
    """Take the cores only when nobody else wants them."""
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _listening(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(reachable(path))
    made.settimeout(FOLLOW_SECONDS)
    return made


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
