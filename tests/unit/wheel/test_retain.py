"""Retention: what is older than it may be goes, with all that belongs to it, and nothing that is still needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from tests.commands import volant

from volant.core.clock import Clock
from volant.core.product import read
from volant.core.records import Feedback
from volant.store.part import iso
from volant.store.records import PredictionRecord
from volant.testing import handmade
from volant.wheel.context import work_on
from volant.wheel.results import Retained
from volant.wheel.retain import retain

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CLOCK = Clock(lambda: NOW)
RULES = '[log]\nkeep = "30d"\nkeep_evidence = "90d"\narchive = "old"\n[feedback]\nmaturity = "7d"\n'


@pytest.fixture
def work(tmp_path, store_url):
    """Opens the product with these rules; ten predictions of ages from 0 to 180 days, every other one with feedback."""
    product = handmade.make_product(tmp_path)
    where = "" if store_url is None else f'[store]\nurl = "{store_url}"\n'

    def opened(rules=RULES):
        (product.folder / "volant.toml").write_text(handmade.FILE_TEXT + rules + where)
        return work_on(read(product.folder), clock=CLOCK)

    with opened() as context:
        handmade.promote(context.store, release := handmade.write_release(product.home))
        log = context.store.prediction_log()
        for n in range(10):
            at, told = iso(NOW - timedelta(days=20 * n)), {"age": n, "plan": "gold"}
            log.append([PredictionRecord(id=f"p{n}", release=release, at=at, input=told, output={"label": "no"})])
        log.close()
        for n in range(0, 10, 2):
            said = Feedback(f"p{n}", "correction", "yes", "ann")
            context.store.add_feedback([said], received_at=NOW - timedelta(days=20 * n - 1 if n else 0))
    return opened


def left(context) -> list[str]:
    return [one.id for lot in context.store.each_prediction() for one in lot]


def test_what_is_older_than_it_may_be_goes(work, tmp_path):
    """p3, p5, p7, p9 have no feedback and are older than 30 days; p6 and p8 have, older than 90."""
    with work() as context:
        assert retain(context) == Retained(6, 2)
        assert left(context) == ["p0", "p1", "p2", "p4"]
        assert [row.prediction_id for row in context.store.feedback_rows()] == ["p0", "p2", "p4"]
        assert retain(context) == Retained(0, 0)
        assert context.store.audit_trail()[-1].action == "retain"
        folder = context.product.folder / "old"
    kept = {name: [pq.read_table(path) for path in folder.glob(f"{name}-*")] for name in ("predictions", "feedback")}
    assert sorted(id for table in kept["predictions"] for id in table["id"].to_pylist()) == [
        f"p{n}" for n in (3, 5, 6, 7, 8, 9)
    ]
    [said] = kept["feedback"]
    assert said["prediction_id"].to_pylist() == ["p6", "p8"]
    assert said["value"].to_pylist() == ['"yes"', '"yes"']


def test_without_a_rule_everything_stays(work):
    with work("") as context:
        assert "for ever" in retain(context).held
        assert len(left(context)) == 10


def test_nothing_goes_while_a_turn_is_open(work):
    with work() as context:
        turn = context.store.begin_turn("now")
        assert retain(context).predictions == 0
        assert "a turn is open" in retain(context).held
        assert context.store.let_go(["p9"], evidence=True)["prediction"] == 0
        context.store.end_turn(turn.id, "nothing-to-learn")
        assert retain(context).predictions == 6


def test_labels_that_may_still_come_keep_a_prediction(work):
    """Never inside the window of maturity, whatever the rule says."""
    with work('[log]\nkeep = "1d"\n[feedback]\nmaturity = "100d"\n') as context:
        assert retain(context) == Retained(2, 0)
        assert "p5" in left(context)


def test_silence_that_means_something_is_evidence(work):
    rules = '[log]\nkeep = "1d"\nkeep_evidence = "150d"\n[feedback]\nsilence = "no"\nmaturity = "1d"\n'
    with work(rules) as context:
        assert retain(context) == Retained(2, 1)
        assert left(context) == [f"p{n}" for n in range(8)]


def test_what_was_said_meanwhile_keeps_a_prediction(work):
    with work() as context:
        found = [one.id for one in context.store.old_predictions(iso(NOW - timedelta(days=30)))]
        context.store.add_feedback([Feedback("p9", "correction", "no", "bob")])
        assert context.store.let_go(found, evidence=False)["prediction"] == 3
        assert "p9" in left(context)


def test_a_failed_archive_keeps_everything(work, monkeypatch):
    def full(*_, **__):
        raise OSError("no space")

    monkeypatch.setattr("volant.wheel.retain.pq.write_table", full)
    with work() as context:
        with pytest.raises(OSError, match="no space"):
            retain(context)
        assert len(left(context)) == 10


def test_the_command_says_what_would_go_and_then_removes_it(work, tmp_path, monkeypatch):
    monkeypatch.setattr(Clock, "now", lambda _: NOW)
    with work('[log]\nkeep = "1d"\n[feedback]\nmaturity = "1d"\n'):
        pass
    would = {"predictions": 5, "feedback": 0, "removed": False, "held": ""}
    assert volant("-C", tmp_path, "retain", "--dry-run") == (0, would)
    assert volant("-C", tmp_path, "retain") == (0, {**would, "removed": True})
    assert volant("-C", tmp_path, "retain", "--dry-run") == (0, {**would, "predictions": 0})
