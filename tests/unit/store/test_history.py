from __future__ import annotations

import math
import threading

import pytest

from volant.core.records import Comparison, Gap, Verdict
from volant.errors import Refused
from volant.store import open_store


def test_verdicts_come_back_as_they_were_given(store):
    comparison = Comparison("log_loss", "", 100, 0.1, 0.05, 0.15, 0.5, 0.4)
    gap = Gap("mae_difference", "sex", 90, 0.1, 0.0, 0.3, "sex=F", "sex=M", ("sex is one of 2 rare values",), 0.2)
    verdict = Verdict("b", "a", True, ("better", "within the limits"), (comparison,), 0.05, 3, "j", (gap,))
    seq = store.add_verdict(verdict)
    [row] = store.verdicts()
    assert (row.seq, row.verdict) == (seq, verdict)


def test_a_verdict_on_nan_can_be_recorded(store):
    broken = Comparison("log_loss", "city=Bern", 3, math.nan, -math.inf, math.inf, 0.5, math.nan)
    store.add_verdict(Verdict("b", "a", False, ("not finite",), (broken,)))
    [row] = store.verdicts()
    [read] = row.verdict.comparisons
    assert math.isnan(read.difference)
    assert math.isnan(read.low)
    assert (read.champion, read.slice) == (0.5, "city=Bern")


def test_only_looks_at_a_champion_are_counted(store):
    store.add_verdict(Verdict("a", None, True, (), judge="j"))
    store.add_verdict(Verdict("b", "a", False, (), judge="j"))
    store.add_verdict(Verdict("c", "a", True, (), judge="j"))
    store.add_verdict(Verdict("d", "c", True, (), judge="k"))
    assert (store.judge_turns("j"), store.judge_turns("k"), store.judge_turns("none")) == (2, 1, 0)


def test_the_champion_is_what_was_promoted_or_rolled_back_to_last(store):
    assert store.champion() is None
    first = store.deploy("a", "promote", "first", 1, None, {"score": 0.5})
    store.deploy("b", "refuse", "worse", 1, "a", {})
    assert store.champion() == first
    assert (first.facts, first.previous) == ({"score": 0.5}, None)
    store.deploy("b", "promote", "better", 2, "a", {})
    back = store.deploy("a", "rollback", "asked for", 1, "b", {})
    assert store.champion() == back
    assert [(d.kind, d.release) for d in store.deployments()] == [
        ("promote", "a"),
        ("refuse", "b"),
        ("promote", "b"),
        ("rollback", "a"),
    ]
    assert store.counts()["releases"] == 2


@pytest.mark.parametrize("previous", [None, "x"])
def test_a_champion_that_changed_in_between_stops_a_deployment(store, previous):
    store.deploy("a", "promote", "first", 1, None, {})
    with pytest.raises(Refused) as caught:
        store.deploy("b", "promote", "better", 1, previous, {})
    assert caught.value.code == "busy"
    assert len(store.deployments()) == 1


def test_of_many_that_promote_at_once_one_wins(store, tmp_path, store_url):
    outcomes = []

    def promote(release):
        with open_store(tmp_path / ".volant", store_url) as mine:
            try:
                mine.deploy(release, "promote", "", 1, None, {})
                outcomes.append("won")
            except Refused:
                outcomes.append("lost")

    threads = [threading.Thread(target=promote, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["lost"] * 5 + ["won"]


def test_the_order_is_that_of_the_events_whatever_the_clock_says(store, hands):
    store.deploy("a", "promote", "", 1, None, {})
    hands.move(-86400)
    store.deploy("b", "promote", "", 1, "a", {})
    assert store.champion().release == "b"
    assert [d.release for d in store.deployments()] == ["a", "b"]


def test_label_views_are_recorded_once(store):
    store.add_label_view("v1", "majority of the trusted", {"min_trust": 0.5})
    store.add_label_view("v1", "another", {})
    store.add_label_view("v2", "majority", {})
    assert [(v.version, v.rule) for v in store.label_views()] == [("v1", "majority of the trusted"), ("v2", "majority")]
