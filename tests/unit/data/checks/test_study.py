"""Conversions, samples and row numbers."""

from __future__ import annotations

import numpy as np
import pytest

from volant.data.checks import study as module
from volant.data.checks.study import Study


def test_conversions(make):
    data = make(
        {
            "n": np.array([1.0, np.nan, 2.0, 1.0]),
            "b": np.array([True, False, True, True]),
            "t": np.array(["2024-01-01", "NaT", "2024-01-02", "2024-01-01"], dtype="datetime64[us]"),
            "c": np.array(["x", None, "y", "x"], dtype=object),
        }
    )
    study = Study.of(data)
    assert Study.of(study) is study
    assert [study.kind(name) for name in "nbtc"] == ["number", "boolean", "time", "text"]
    assert [study.missing(name) for name in "nbtc"] == [1, 0, 1, 1]
    assert [study.distinct(name) for name in "nbtc"] == [2, 2, 2, 2]
    assert study.codes("c").codes.tolist() == [0, -1, 1, 0]
    assert study.codes("n").codes.tolist() == [0, -1, 1, 0]
    assert study.codes("c").sizes().tolist() == [2, 1]
    assert np.isnan(study.values("t")).tolist() == [False, True, False, False]


def test_samples_keep_order_and_numbers(make, clean, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 100)
    study = Study.of(make(clean(500), first=1000))
    sample = study.sample(100)
    assert len(sample) == 100
    assert sample.sample(100) is sample
    assert (np.diff(sample.numbers()) > 0).all()
    assert "100 rows" in sample.said
    assert study.said == ""
    assert sample.evidence(np.array([0])) == (int(sample.numbers()[0]),)


def test_sides(make, clean):
    data = make(clean(200))
    sides = Study.of(data).sides()
    assert [(sides == i).sum() for i in range(3)] == [len(data.part(p)) for p in ("train", "judge", "test")]


@pytest.mark.parametrize("rows", [1, 3])
def test_large_tables_are_sampled_and_say_so(checks, make, run, clean, monkeypatch, rows):
    for name in ("leakage", "row_order", "near_duplicates"):
        monkeypatch.setattr(f"volant.data.checks.{name}.ROWS", 400)
    columns = clean(1000 * rows)
    columns["paid"] = (columns["y"] == "yes") + 0.001 * np.random.default_rng(0).random(1000 * rows)
    (found,) = run(checks["leakage"], make(columns))
    assert "in a random sample of 400 rows" in found.what
