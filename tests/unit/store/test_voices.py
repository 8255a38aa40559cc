"""The voice view against a plain model of it, for any history of feedback."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volant.core.ids import uuid7
from volant.core.records import Feedback
from volant.store import PredictionRecord, open_store

said = st.tuples(
    st.just("say"),
    st.integers(0, 1),
    st.sampled_from(["", "t"]),
    st.sampled_from(["correction", "rating"]),
    st.sampled_from(["ann", "bob"]),
    st.integers(0, 3),
)
heir = st.tuples(st.just("supersede"), st.integers(0, 20), st.sampled_from(["correction", "rating"]))
revoked = st.tuples(st.just("revoke"), st.integers(0, 20))


@pytest.fixture(scope="module")
def opened():
    home = Path(tempfile.mkdtemp())
    with open_store(home) as store:
        yield store
    shutil.rmtree(home)


def play(store, predictions, events):
    """Do to the store what the events say, and return the same as plain rows."""
    rows: list[dict] = []

    def add(item: Feedback) -> None:
        [receipt] = store.add_feedback([item])
        rows.append({"item": item, "id": receipt.id, "seq": receipt.seq, "valid": True})

    for value, (what, *rest) in enumerate(events):
        if what == "say":
            number, target, kind, actor, _ = rest
            add(Feedback(predictions[number].id, kind, value, actor, target=target))
        elif rows and what == "supersede":
            old = rows[rest[0] % len(rows)]
            kept = old["item"]
            add(Feedback(kept.prediction_id, rest[1], value, kept.actor, supersedes=old["id"]))
        elif rows:
            row = rows[rest[0] % len(rows)]
            row["valid"] = False
            store.mark_feedback([row["id"]], valid=False)
    return rows


def current(rows):
    superseded = {row["item"].supersedes for row in rows if row["valid"]}
    latest = {}
    for row in rows:
        item = row["item"]
        if row["valid"] and row["id"] not in superseded:
            latest[item.prediction_id, item.target, item.kind, item.actor] = row["seq"]
    return sorted(latest.values())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(said, said, heir, revoked), max_size=12), st.data())
def test_one_voice_per_actor(opened, events, data):
    predictions = [
        PredictionRecord(id=uuid7(), release="r", at="2026-01-01T00:00:00+00:00", input={}, output={}) for _ in range(2)
    ]
    log = opened.prediction_log()
    log.append(predictions)
    log.close()
    rows = play(opened, predictions, events)
    mine = {prediction.id for prediction in predictions}
    expected = current(rows)
    assert [v.seq for v in opened.voices() if v.prediction.id in mine] == expected
    after = data.draw(st.sampled_from([0, *expected]))
    since = [v.seq for v in opened.voices(after) if v.prediction.id in mine]
    assert since == [seq for seq in expected if seq > after]
