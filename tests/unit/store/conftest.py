from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from volant.core.clock import Clock
from volant.core.ids import uuid7
from volant.store import PredictionRecord, open_store


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def store(tmp_path, store_url, hands):
    with open_store(tmp_path / ".volant", store_url, clock=Clock(wall=lambda: hands.now)) as opened:
        yield opened


@pytest.fixture
def sqlite_store(tmp_path):
    with open_store(tmp_path / ".volant") as opened:
        yield opened


@pytest.fixture
def predict():
    """Makes predictions."""

    def make(number: int = 1, **values) -> list[PredictionRecord]:
        given = {"release": "r" * 64, "at": "2026-01-01T00:00:00+00:00", "input": {"age": 3, "city": "Bern"}}
        given |= {"output": {"label": "yes", "probabilities": {"no": 0.2, "yes": 0.8}}}
        return [PredictionRecord(**{"id": uuid7(), **given, **values}) for _ in range(number)]

    return make


@pytest.fixture
def logged(store, predict):
    """Predictions that are in the log of the store, not indexed yet."""
    records = predict(5)
    log = store.prediction_log()
    log.append(records)
    return records
