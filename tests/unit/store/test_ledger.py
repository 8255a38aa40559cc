from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from volant.errors import BadInput, Failure
from volant.store import tables


def test_the_latest_dataset_is_the_one_added_last(store, hands):
    assert store.latest_dataset() is None
    store.add_dataset("a" * 64, 10, {"source": "x.csv"})
    hands.move(-3600)
    store.add_dataset("b" * 64, 12, {})
    latest = store.latest_dataset()
    assert (latest.digest, latest.rows) == ("b" * 64, 12)
    assert latest.at < store.dataset("a" * 64).at
    assert store.dataset("a" * 64).facts == {"source": "x.csv"}
    assert store.dataset("c" * 64) is None


def test_records_do_not_change_once_they_are_added(store):
    store.add_dataset("a", 1, {"n": 1})
    store.add_dataset("a", 2, {"n": 2})
    assert (store.latest_dataset().rows, store.latest_dataset().facts) == (1, {"n": 1})
    store.add_candidate("a", "r", "d", 1, {"n": 1})
    store.add_candidate("a", "s", "e", 2, {"n": 2})
    assert (store.candidate("a").run, store.candidate("a").facts) == ("r", {"n": 1})


def test_the_subjects_of_a_dataset_are_members(store):
    store.add_dataset("a", 3, {}, subjects=["ann", None, "bob"])
    with store._database.read() as connection:
        rows = connection.execute(tables.dataset_member.select().order_by(tables.dataset_member.c.row)).all()
    assert [(r.dataset, r.row, r.subject) for r in rows] == [("a", 0, "ann"), ("a", 2, "bob")]


def test_a_run_begins_is_resumed_and_ends(store, hands):
    store.add_run("r1", "d", "c", "60s", {"machine": "small"})
    hands.move(60)
    store.add_run("r1", "d", "c", "60s", {})
    store.add_run("r2", "d", "c", "12 units", {})
    store.finish_run("r1", "done", {"score": 0.5})
    first, second = store.runs()
    assert (first.id, first.status, first.facts) == ("r1", "done", {"machine": "small", "score": 0.5})
    assert first.started_at < first.finished_at
    assert (second.status, second.finished_at) == ("running", None)
    with pytest.raises(Failure, match="never began"):
        store.finish_run("r3", "done", {})


def test_a_candidate_by_its_digest_or_the_beginning_of_it(store):
    store.add_candidate("abc1", "r", "d", 1, {"x": 1})
    store.add_candidate("abd2", None, None, 2, {})
    assert store.candidate("abc").digest == "abc1"
    assert store.candidate("ABD2").contract == 2
    store.add_candidate("abc12", "r", "d", 1, {})
    assert store.candidate("abc1").digest == "abc1"
    assert [c.digest for c in store.candidates()] == ["abc1", "abc12", "abd2"]


def test_no_candidate_or_several(store):
    store.add_candidate("abc1", "r", "d", 1, {})
    store.add_candidate("abd2", "r", "d", 1, {})
    for asked in ("ab", "zz", "", "a%", "_bc1"):
        with pytest.raises(BadInput) as caught:
            store.candidate(asked)
        assert caught.value.code == "no-candidate"
        assert set(caught.value.troubles[0].choices) == {"abc1", "abd2"}


def test_evaluations_of_a_candidate(store):
    first = store.add_evaluation("a", "d", "judge", {"log_loss": 0.3, "nan": float("nan")})
    second = store.add_evaluation("a", "d", "test", {})
    store.add_evaluation("b", "d", "test", {})
    assert first < second
    found = store.evaluations("a")
    assert [(e.seq, e.part) for e in found] == [(first, "judge"), (second, "test")]
    assert found[0].facts == {"log_loss": 0.3, "nan": None}


def test_facts_may_hold_arrays_and_paths(store):
    facts = {"score": np.float64(0.5), "counts": np.arange(3), "at": Path("x/y"), "pair": (1, 2)}
    store.add_dataset("a", 1, facts)
    assert store.latest_dataset().facts == {"score": 0.5, "counts": [0, 1, 2], "at": "x/y", "pair": [1, 2]}
    with pytest.raises(Exception, match="not plain data"):
        store.add_dataset("b", 1, {"x": object()})
    assert store.dataset("b") is None
