"""Questions to reviewers: no more in a day than there may be, whoever asks at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from volant.store import open_store

LONG_AGO = "2000"


def some(name, count):
    return [{"prediction_id": f"{name}{i}", "why": "unsure", "score": 1.0, "propensity": 1.0} for i in range(count)]


def test_two_who_ask_at_once_do_not_ask_more_than_may_be(tmp_path):
    with open_store(tmp_path) as store:

        def ask(name):
            return store.ask(some(name, 4), since=LONG_AGO, most=7)

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(ask, "abcdefgh"))
        assert sorted(found, key=str) == [4, *[None] * 7]
        assert len(store.questions()) == 4
        assert store.ask(some("z", 3), since=LONG_AGO, most=7) == 3
        assert store.ask(some("y", 1), since="9999", most=1) == 1, "another day"
