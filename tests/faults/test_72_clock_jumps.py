"""Fault 72: when the clock jumps, the order is that of the sequence numbers."""

from __future__ import annotations

from datetime import UTC, datetime

from volant.core.clock import Clock
from volant.core.ids import uuid7
from volant.core.records import Feedback
from volant.store import PredictionRecord, open_store

YEARS = (2026, 2031, 1999, 2026)


def test_the_last_word_is_the_one_that_came_last(tmp_path, store_url):
    times = iter(datetime(year, 1, 1, tzinfo=UTC) for year in YEARS)
    record = PredictionRecord(id=uuid7(), release="r", at="2026-01-01T00:00:00+00:00", input={}, output={})
    with open_store(tmp_path / ".volant", store_url, clock=Clock(wall=lambda: next(times))) as store:
        store.prediction_log().append([record])
        for year in YEARS:
            store.add_feedback([Feedback(record.id, "correction", year, "ann", event_at=f"{4000 - year}-01-01")])
        rows = list(store.feedback_rows())
        assert [row.value for row in rows] == list(YEARS)
        assert [row.received_at[:4] for row in rows] == [str(year) for year in YEARS]
        [voice] = store.voices()
        assert voice.seq == rows[-1].seq


def test_the_champion_is_the_one_that_was_deployed_last(tmp_path, store_url):
    year = 2031
    with open_store(
        tmp_path / ".volant", store_url, clock=Clock(wall=lambda: datetime(year, 1, 1, tzinfo=UTC))
    ) as store:
        store.deploy("a", "promote", "", 1, None, {})
        year = 2026
        store.deploy("b", "promote", "", 1, "a", {})
        year = 1999
        store.deploy("a", "rollback", "", 1, "b", {})
        assert store.champion().at.startswith("1999")
        assert [event.release for event in store.deployments()] == ["a", "b", "a"]
