"""Processes that predict for others: how batches are made, and what happens when no process is of use any more."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import ClassVar

import pytest

from volant.errors import BadInput
from volant.serve.child import Setting
from volant.serve.pool import Pool
from volant.serve.problems import HttpError
from volant.serve.processes import Processes

BODY = b"x" * 100


class Fake:
    """A process that lives in this one: `reply` says what it does with a message, `load` with a release."""

    made: list[Fake]

    def __init__(self, setting: Setting) -> None:
        self.alive, self.batches = True, []
        self.made.append(self)

    def follow(self, traffic) -> None:
        traffic.load()

    def ask(self, message, seconds):
        self.batches.append(len(message["bodies"]))
        return self.reply(message["bodies"])

    def reply(self, bodies):
        return list(bodies)

    def kill(self) -> None:
        self.alive = False

    end = kill


@pytest.fixture
def child(monkeypatch):
    class Own(Fake):
        made: ClassVar[list[Fake]] = []

    monkeypatch.setattr("volant.serve.keeping.Child", Own)
    return Own


@pytest.fixture
def pool(child, tmp_path):
    made = Pool("predict", Setting(tmp_path), 1, 64, 30.0)
    yield made
    made.close()


def traffic(pace: float = 0.0, load=lambda: None):
    return SimpleNamespace(version=1, pace=pace, load=load, inline_bytes=0)


def eventually(holds) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def busy(child) -> threading.Event:
    """Have the process wait with its first batch, so that requests queue up behind it."""
    go = threading.Event()

    def reply(self, bodies):
        assert go.wait(30)
        return list(bodies)

    child.reply = reply
    return go


@pytest.mark.parametrize(("pace", "largest"), [(0.0, 30), (0.0001, 10), (1.0, 1)])
def test_a_batch_takes_no_longer_than_it_should(pool, child, pace, largest):
    """Of 30 requests that wait, so many are taken at once as are expected to take a tenth of a second."""
    go, who = busy(child), traffic(pace)
    futures = [pool.ask(who, BODY)]
    eventually(lambda: child.made and child.made[0].batches)
    futures += [pool.ask(who, BODY) for _ in range(30)]
    pool._took = lambda batch, seconds: None
    go.set()
    assert [future.result(30) for future in futures] == [BODY] * 31
    assert max(child.made[0].batches[1:]) == largest


def test_slow_batches_make_the_next_ones_smaller(pool, child):
    """What was measured when the release was loaded is not what a busy machine needs."""
    who = traffic(1e-9)

    def reply(self, bodies):
        time.sleep(0.05 * len(bodies))
        return list(bodies)

    child.reply = reply
    assert pool.ask(who, BODY).result(30) == BODY
    futures = [pool.ask(who, BODY) for _ in range(16)]
    assert all(future.result(30) == BODY for future in futures)
    assert max(child.made[0].batches) <= 2


def test_nobody_waits_for_ever_for_a_process_that_talks_nonsense(pool, child):
    child.reply = lambda self, bodies: [] if len(child.made) < 2 else list(bodies)
    assert pool.ask(traffic(), BODY).result(30) == BODY
    assert len(child.made) == 2


def test_a_release_that_cannot_be_loaded_refuses_what_waits(pool, child):
    """At once, and not after the pauses between the attempts to start a process."""
    may = threading.Event()

    def load():
        if not may.is_set():
            raise BadInput("gone", code="artifact-damaged")

    futures = [pool.ask(traffic(load=load), BODY) for _ in range(3)]
    for future in futures:
        with pytest.raises(HttpError) as refused:
            future.result(30)
        assert refused.value.status == 503
    assert pool.broken
    with pytest.raises(HttpError):
        pool.ask(traffic(load=load), BODY)
    may.set()
    pool.follow(traffic())  # what is served now can be loaded
    assert not pool.broken
    assert pool.ask(traffic(), BODY).result(30) == BODY


def test_readiness_sees_processes_that_died(child, tmp_path):
    """Without a request that would need them, and as long as no new one can be started."""
    processes, loads = Processes(Setting(tmp_path), 2, 30.0), [True]

    def load():
        if not loads[0]:
            raise BadInput("gone", code="artifact-damaged")

    try:
        processes.follow(traffic(load=load))
        assert processes.trouble == ""
        loads[0] = False
        for one in child.made:
            one.alive = False
        assert processes.trouble
        eventually(lambda: processes.trouble == "no process that predicts can be started")
        loads[0] = True
        eventually(lambda: processes.alive == 2)
        assert processes.trouble == ""
    finally:
        processes.close()


def test_what_waits_too_long_is_refused_while_the_process_is_busy(child, tmp_path):
    """503, as nobody worked on it; what is worked on goes on."""
    processes, go = Processes(Setting(tmp_path), 1, 1.0), threading.Event()

    def reply(self, bodies):
        assert go.wait(30)
        return [[body, [], [], None] for body in bodies]

    async def ask():
        first = asyncio.ensure_future(processes.predict(traffic(), BODY))
        while not (child.made and child.made[0].batches):
            await asyncio.sleep(0.01)
        with pytest.raises(HttpError) as refused:
            await processes.predict(traffic(), BODY)
        assert not first.done()
        go.set()
        return refused.value.code, await first

    child.reply = reply
    try:
        code, answered = asyncio.run(ask())
    finally:
        processes.close()
    assert code == "overloaded"
    assert answered.body == BODY
