"""Releases that are taken back by themselves, and canaries that are promoted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from volant.core.clock import Clock
from volant.serve.metrics import Figures, ProductFigures
from volant.serve.watching import Watch, least
from volant.store import open_store
from volant.testing import handmade

FIRST, SECOND, CANARY = "a" * 64, "b" * 64, "c" * 64


class World:
    """A product, its history, and figures that a test makes up."""

    def __init__(self, store, product) -> None:
        self.store = store
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.seconds = 0.0
        self.figures = Figures()
        self._own = ProductFigures(self.figures, product.name)
        clock = Clock(wall=lambda: self.now, monotonic=lambda: self.seconds)
        self.store._clock = clock
        self.watch = Watch(product, store, clock, lambda: list(self.figures.registry.collect()))

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += timedelta(seconds=seconds)
        self.watch.look()

    def answers(self, release: str, requests: int, *, failed: int = 0, seconds: float = 0.001) -> None:
        for n in range(requests):
            self._own.predicted(release[:12], 1, seconds, failed=n < failed)

    def promote(self, release: str) -> None:
        champion = self.store.champion()
        self.store.deploy(release, "promote", "a test", 1, champion.release if champion else None, {})

    def canary(self, **facts) -> None:
        self.store.deploy(CANARY, "canary", "a test", 1, SECOND, {"share": 0.2, "policy": "canary", **facts})

    @property
    def last(self):
        event = self.store.deployments()[-1]
        return event.kind, event.release


@pytest.fixture
def world(tmp_path, request):
    text = handmade.FILE_TEXT + '[serve.watch]\nlatency_ms = 10\nwindow = "60s"\nprobation = "10m"\n'
    product = handmade.make_product(tmp_path, text)
    with open_store(product.home) as store:
        made = World(store, product)
        made.promote(FIRST)
        made.pass_time(3600)
        made.promote(SECOND)
        made.pass_time(1)
        yield made


def test_a_release_that_does_well_stays(world):
    for _ in range(30):
        world.answers(SECOND, 50, failed=0)
        world.pass_time(1)
    assert world.last == ("promote", SECOND)


def test_a_new_champion_that_fails_is_taken_back_with_the_reason(world):
    world.answers(SECOND, 30, failed=12)
    world.pass_time(1)
    event = world.store.deployments()[-1]
    assert (event.kind, event.release, event.previous) == ("rollback", FIRST, SECOND)
    assert event.reason == f"{SECOND[:12]} was taken back: 12 of 30 requests got no usable answer"
    world.pass_time(1)
    assert len(world.store.deployments()) == 3, "it is taken back once"


def test_a_new_champion_that_is_slow_is_taken_back(world):
    world.answers(SECOND, 60, seconds=0.2)
    world.pass_time(1)
    assert world.last == ("rollback", FIRST)
    assert "took over 10 ms" in world.store.deployments()[-1].reason


def test_few_failures_among_many_are_borne(world):
    world.answers(SECOND, 1000, failed=40)
    world.pass_time(1)
    assert world.last == ("promote", SECOND)


def test_nothing_is_concluded_from_few_requests(world):
    world.answers(SECOND, 15, failed=15)
    world.pass_time(1)
    assert world.last == ("promote", SECOND)


def test_what_is_long_past_counts_no_more(world):
    world.answers(SECOND, 19, failed=19)
    for _ in range(70):
        world.pass_time(1)
    world.answers(SECOND, 1000)
    world.pass_time(1)
    world.answers(SECOND, 19, failed=19)
    world.pass_time(1)
    assert world.last == ("promote", SECOND)


def test_a_champion_that_has_proven_itself_is_left_to_people(world):
    world.pass_time(601)
    world.answers(SECOND, 100, failed=100)
    world.pass_time(1)
    assert world.last == ("promote", SECOND)


def test_without_anything_to_go_back_to_it_is_only_told(tmp_path, caplog):
    product = handmade.make_product(tmp_path)
    with open_store(product.home) as store:
        world = World(store, product)
        world.promote(FIRST)
        world.pass_time(1)
        world.answers(FIRST, 100, failed=100)
        world.pass_time(1)
        assert world.last == ("promote", FIRST)
    assert "none to go back to" in caplog.text


def test_a_bad_canary_is_ended_whenever_that_shows(world):
    world.canary()
    world.pass_time(7200)
    world.answers(CANARY, 40, failed=20)
    world.pass_time(1)
    assert world.last == ("end", CANARY)
    assert world.store.champion().release == SECOND


def test_a_canary_is_promoted_when_its_time_has_come(world):
    world.canary(promote_after=120.0)
    world.answers(CANARY, 500)
    world.pass_time(60)
    assert world.last == ("canary", CANARY)
    world.pass_time(61)
    assert world.last == ("promote", CANARY)
    assert "500 requests" in world.store.deployments()[-1].reason


def test_a_canary_without_a_time_stays_one(world):
    world.canary()
    world.answers(CANARY, 500)
    world.pass_time(100_000)
    assert world.last == ("canary", CANARY)


def test_the_lower_bound_of_a_share():
    assert least(0, 100) == 0.0
    assert 0.05 < least(20, 100) < 0.2
    assert least(2000, 10_000) > least(20, 100)
    assert least(20, 20) > 0.5
