from __future__ import annotations

import pyarrow as pa
import pytest

from volant.data import plain
from volant.data.plain import json_columns


def columns(*texts):
    return json_columns(pa.chunked_array([pa.array(texts)]))


def test_texts_that_look_like_dates_stay_the_texts_that_they_are():
    found = columns('{"code":"2024-01-01","labels":["2024-01-02"],"of":{"day":"2024-01-03"}}', '{"code":"2024-02-01"}')
    assert found.to_pylist() == [
        {"code": "2024-01-01", "labels": ["2024-01-02"], "of": {"day": "2024-01-03"}},
        {"code": "2024-02-01", "labels": None, "of": None},
    ]


@pytest.mark.parametrize("odd", ["true", '"2024-01-01"', '"word"', '{"a":1}', "[1]", "12345678901234567890123", "null"])
def test_one_odd_value_in_another_lot_leaves_all_rows_readable(monkeypatch, odd):
    monkeypatch.setattr(plain, "LOT", 2)
    found = columns('{"x":1}', '{"x":2}', f'{{"x":{odd}}}', '{"y":3}', '{"x":4}', '{"x":5}')
    assert len(found) == 6
    assert [float(str(v)) for i, v in enumerate(found.column("x").to_pylist()) if i in (0, 1, 4, 5)] == [1, 2, 4, 5]


def test_objects_with_other_fields_in_another_lot_are_joined(monkeypatch):
    monkeypatch.setattr(plain, "LOT", 1)
    found = columns('{"p":{"a":0.5}}', '{"p":{"b":1}}')
    assert found.column("p").to_pylist() == [{"a": 0.5, "b": None}, {"a": None, "b": 1}]
