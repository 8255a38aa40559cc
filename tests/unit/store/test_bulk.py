"""Many rows at a time: what comes out is what was put in, whatever the lots, and whatever stands in the cells."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from volant.core.records import Feedback
from volant.store import PredictionRecord, bulk, open_store
from volant.store.validity import Which

AT = "2026-01-01T00:00:00.000000+00:00"
ODD = ("plain", "two\nlines", "quote ' and \"", "日本語", "tab\t", "=", "NULL", "\x01", "1")


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path) as opened:
        yield opened


def fill(store, count):
    def record(i):
        subject, odd = (None, "", ODD[i % len(ODD)])[i % 3], ODD[i % len(ODD)]
        facts = {"propensity": 1 / (3 + i), "audit": i % 2 == 0, "subject": subject, "at": AT}
        return PredictionRecord(id=f"p{i:04d}", release="r", input={"x": odd}, output={"label": odd}, **facts)

    made = [record(i) for i in range(count)]
    log = store.prediction_log()
    log.append(made)
    log.close()
    store.index_segments()
    said = [Feedback(one.id, "comment", ODD[i % len(ODD)], ODD[i % len(ODD)]) for i, one in enumerate(made)]
    store.add_feedback(said)
    return made


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_every_cell_comes_back(store, monkeypatch, most):
    monkeypatch.setattr(bulk, "FIRST", min(most, 3))
    monkeypatch.setattr(bulk, "MOST", most)
    made = fill(store, 60)
    found = store.prediction_table().to_pylist()
    assert [row["id"] for row in found] == [one.id for one in made]
    assert [row["propensity"] for row in found] == [one.propensity for one in made]
    assert [(row["audit"], row["subject"]) for row in found] == [(one.audit, one.subject) for one in made]
    assert [json.loads(row["input"]) for row in found] == [one.input for one in made]
    told = store.feedback_table().to_pylist()
    assert [row["seq"] for row in told] == list(range(1, 61))
    assert [(json.loads(row["value"]), row["actor"]) for row in told] == [(ODD[i % 9], ODD[i % 9]) for i in range(60)]
    assert {row["event_at"] for row in told} == {row["supersedes"] for row in told} == {None}


def test_a_cell_with_what_divides_cells_is_read_too(store):
    fill(store, 10)
    with store._database.write() as connection:
        connection.execute(text("UPDATE prediction SET policy = 'a' || char(0) || 'b' WHERE id = 'p0004'"))
    found = store.prediction_table().column("policy").to_pylist()
    assert found == ["champion"] * 4 + ["a\x00b"] + ["champion"] * 5


def test_only_predictions_of_which_something_counts_are_answered(store):
    fill(store, 6)
    store.mark_feedback([row.id for row in store.find_feedback(Which(prediction="p0002"))], valid=False)
    store.add_feedback([Feedback("p0003", "comment", "again", "eve")])
    store.mark_feedback([row.id for row in store.find_feedback(Which(actor="eve"))], valid=False)
    assert sorted(store.answered_table().column("id").to_pylist()) == ["p0000", "p0001", "p0003", "p0004", "p0005"]
    assert len(store.feedback_table()) == 5
