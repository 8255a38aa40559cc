"""Limits of keys: how many requests at once and on average, how many rows per period."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from volant.serve.limits import MOST_KEYS, Limits
from volant.serve.problems import HttpError
from volant.store.records import ApiKeyRow


class Hands:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 23, 0, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def limits(tmp_path, hands, request):
    """Makes what one of several processes sees of the limits."""
    (tmp_path / "locks").mkdir()

    def make() -> Limits:
        made = Limits.shared(tmp_path)
        made._monotonic = made._wall = hands
        request.addfinalizer(made.close)
        return made

    return make


def key(id="a", **limits) -> ApiKeyRow:
    return ApiKeyRow(id, "shop", ("predict",), "", "", "", **limits)


def refusal(limits, of) -> HttpError:
    with pytest.raises(HttpError) as caught:
        limits.take(of)
    assert caught.value.status == 429
    return caught.value


def waits(error) -> int:
    return int(dict(error.headers)[b"retry-after"])


def test_a_key_without_limits_has_none(limits):
    one = limits()
    one.provide([])
    for _ in range(1000):
        one.take(key())


def test_a_burst_passes_and_then_the_rate_holds(limits, hands):
    one, busy = limits(), key(rate=2.0, burst=5)
    one.provide(["a"])
    for _ in range(5):
        one.take(busy)
    assert waits(refusal(one, busy)) == 1
    hands.now += 0.5
    one.take(busy)
    refusal(one, busy)
    hands.now += 60
    for _ in range(5):
        one.take(busy)
    refusal(one, busy)


def test_processes_share_a_rate(limits):
    one, two = limits(), limits()
    for process in (one, two):
        process.provide(["a"])
    busy = key(rate=1.0, burst=4)
    for process in (one, two, one, two):
        process.take(busy)
    refusal(one, busy)
    refusal(two, busy)


def test_processes_share_a_quota_and_it_starts_anew(limits, hands):
    one, two = limits(), limits()
    for process in (one, two):
        process.provide(["a"])
    small = key(quota=10, period="day")
    one.charge(small, 6)
    two.take(small)
    two.charge(small, 4)
    assert one.used(small) == two.used(small) == 10
    error = refusal(one, small)
    assert (error.code, waits(error)) == ("quota-exceeded", 3600)
    hands.now += 3600
    one.take(small)
    assert one.used(small) == 0


def test_a_month_ends_with_the_calendar(limits, hands):
    one, small = limits(), key(quota=1, period="month")
    one.provide(["a"])
    one.charge(small, 1)
    assert waits(refusal(one, small)) == 3600
    hands.now += 3600
    one.take(small)


def test_a_restart_forgets_nothing(limits):
    one, small = limits(), key(quota=10, period="day")
    one.provide(["a"])
    one.charge(small, 10)
    one.close()
    two = limits()
    two.provide(["b", "a"])
    assert two.used(small) == 10


def test_keys_do_not_share_a_place(limits):
    one = limits()
    ids = [f"key-{n}" for n in range(MOST_KEYS)]
    one.provide(ids)
    for n, id in enumerate(ids):
        one.charge(key(id, quota=1, period="day"), n)
    assert [one.used(key(id, quota=1, period="day")) for id in ids] == list(range(MOST_KEYS))


def test_the_place_of_a_key_that_ended_is_free_and_empty(limits):
    one = limits()
    one.provide([f"key-{n}" for n in range(MOST_KEYS)])
    for n in range(MOST_KEYS):
        one.charge(key(f"key-{n}", quota=1, period="day"), 5)
    one.provide(["new", "key-3"])
    assert one.used(key("new", quota=1, period="day")) == 0
    assert one.used(key("key-3", quota=1, period="day")) == 5


def test_a_time_from_before_the_machine_was_started_is_no_hindrance(limits, hands):
    one, busy = limits(), key(rate=1.0, burst=2)
    one.provide(["a"])
    one.take(busy)
    hands.now -= 1_000_000
    one.take(busy)
