"""The log of predictions as Parquet: every row once, whole or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

import volant
from volant.cli.main import main
from volant.core.ids import uuid7
from volant.errors import BadInput
from volant.store import PredictionRecord, open_store
from volant.testing import handmade


@pytest.fixture
def product(tmp_path):
    made = handmade.make_product(tmp_path / "product")
    with open_store(made.home) as store:
        log = store.prediction_log()
        for day in (1, 2, 3):
            at = datetime(2026, 1, day, tzinfo=UTC)
            made_then = {"release": "r", "at": at.isoformat(), "input": {"age": day, "é": None}}
            ids = [uuid7(int(at.timestamp() * 1000)) for _ in range(2)]  # the log is in the order of its ids
            rows = [PredictionRecord(id=id, output={"label": "no"}, **made_then) for id in ids]
            log.append(rows)
    return made


def test_every_prediction_is_a_row(product, tmp_path):
    out = tmp_path / "log.parquet"
    made = volant.open(product.folder).operations.export_log(out)
    table = pq.read_table(out)
    assert made.rows == table.num_rows == 6
    assert json.loads(table["input"][0].as_py()) == {"age": 1, "é": None}
    assert len(set(table["id"].to_pylist())) == 6


def test_from_a_time_on(product, tmp_path, capsys):
    out = tmp_path / "log.parquet"
    assert main(["-C", str(product.folder), "--json", "log", str(out), "--since", "2026-01-02T01:00:00+01:00"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 4
    assert main(["-C", str(product.folder), "log", str(out), "--since", "yesterday"]) == 2


def test_it_reads_in_lots(product):
    with open_store(product.home) as store:
        assert [len(lot) for lot in store.each_prediction(lot=4)] == [4, 2]


def test_nothing_half_is_left(product, tmp_path, monkeypatch):
    monkeypatch.setattr("volant.wheel.export_log.table_of", lambda lot: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        volant.open(product.folder).operations.export_log(tmp_path / "log.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["product"]
    with pytest.raises(BadInput, match="no such folder"):
        volant.open(product.folder).operations.export_log(tmp_path / "nowhere" / "log.parquet")
