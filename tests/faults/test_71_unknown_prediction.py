"""Fault 71: feedback for an id that was never given is refused by name, and nothing of the call is stored."""

from __future__ import annotations

import pytest

from volant.core.ids import uuid7
from volant.core.records import Feedback
from volant.errors import BadInput
from volant.store import PredictionRecord, open_store


def test_every_unknown_id_is_named_with_its_place(tmp_path, store_url):
    record = PredictionRecord(id=uuid7(), release="r", at="2026-01-01T00:00:00+00:00", input={}, output={})
    with open_store(tmp_path / ".volant", store_url) as store:
        store.prediction_log().append([record])
        items = [Feedback(id, "rating", "up", "ann") for id in (record.id, "x", record.id, "'; DROP TABLE feedback")]
        with pytest.raises(BadInput) as caught:
            store.add_feedback(items)
        assert caught.value.code == "prediction-unknown"
        places = [(trouble.where, trouble.got) for trouble in caught.value.troubles]
        assert places == [("items[1].prediction_id", "x"), ("items[3].prediction_id", "'; DROP TABLE feedback")]
        assert store.counts()["feedback"] == 0
        assert len(store.add_feedback([items[0]])) == 1
