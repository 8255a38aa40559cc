"""Fault 70: feedback that is sent again is acknowledged again, and stays one row."""

from __future__ import annotations

import threading

from volant.core.ids import uuid7
from volant.core.records import Feedback
from volant.store import FeedbackWriter, PredictionRecord, open_store


def test_ten_thousand_replays_are_one_row(tmp_path, store_url):
    record = PredictionRecord(id=uuid7(), release="r", at="2026-01-01T00:00:00+00:00", input={}, output={})
    item = Feedback(record.id, "correction", "no", "ann", idempotency_key="k")
    with open_store(tmp_path / ".volant", store_url) as store:
        store.prediction_log().append([record])
        [first] = store.add_feedback([item])
        writer = FeedbackWriter(store)
        futures = [writer.submit([item] * 10) for _ in range(990)]
        receipts = [receipt for future in futures for receipt in future.result(60)]
        for _ in range(100):
            receipts += store.add_feedback([item])
        writer.close()
        assert len(receipts) == 10_000
        assert {(receipt.seq, receipt.id, receipt.duplicate) for receipt in receipts} == {(first.seq, first.id, True)}
        assert store.counts()["feedback"] == 1
        assert len(list(store.voices())) == 1


def test_replays_from_many_threads_at_once_are_one_row(tmp_path, store_url):
    record = PredictionRecord(id=uuid7(), release="r", at="2026-01-01T00:00:00+00:00", input={}, output={})
    item = Feedback(record.id, "correction", "no", "ann", idempotency_key="k")
    receipts = []
    with open_store(tmp_path / ".volant", store_url) as store:
        store.prediction_log().append([record])
        threads = [threading.Thread(target=lambda: receipts.extend(store.add_feedback([item]))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(receipt.duplicate for receipt in receipts) == [False] + [True] * 7
        assert len({receipt.id for receipt in receipts}) == 1
        assert store.counts()["feedback"] == 1
