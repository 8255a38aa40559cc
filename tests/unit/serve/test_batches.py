"""Rows to arrays: numbers that are put side by side at once are those that come out one by one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from volant.core.records import Field, Pipeline, Signature, Step
from volant.runtime.load import Release, Runner
from volant.runtime.rows import rows_to_batch
from volant.runtime.steps import floats, floats_of
from volant.serve.batches import Batches
from volant.serve.reader import Reader

SIGNATURE = Signature(
    "classify",
    "y",
    (
        Field("a", "number", False, 1.0),
        Field("b", "boolean", False, True),
        Field("c", "category", False, "u", ("u", "v")),
        Field("d", "number", False, 1.0),
        Field("t", "timestamp", False, "2026-01-01"),
        Field("idle", "number", False, 1.0),
    ),
    (),
    ("no", "yes"),
)
PIPELINE = Pipeline(
    (
        Step("float", ("a",), "fa"),
        Step("float", ("b",), "fb"),
        Step("float", ("d",), "fd"),
        Step("float", ("t",), "ft"),
        Step("encode", ("c",), "code", {"vocabulary": ["u", "v"], "other": 2}),
        Step("stack", ("fa", "fb", "code", "fd", "ft"), "x"),
        Step("stack", ("fa", "fb"), "pair"),
        Step("float", ("a",), "alone"),
        Step("exp", ("d",), "raw", {"factor": 1.0, "offset": 0.0, "low": 0.0, "high": 1e9}),
    ),
    {"x": "x", "pair": "pair", "alone": "alone", "raw": "raw"},
)
ROWS = [
    {"a": 1.5, "b": True, "c": "v", "d": 2, "t": "2026-01-02", "idle": 3},
    {"a": None, "b": None, "c": None, "d": None, "t": None},
    {"a": 1e300, "b": False, "c": "w", "d": -1e300, "t": "1970-01-01"},
    {},
    {"a": -0.0, "b": True, "d": 5e-324},
]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    return Release("d" * 64, folder, SIGNATURE, Runner(PIPELINE, folder))


@pytest.mark.parametrize("rows", [ROWS, *([row] for row in ROWS)], ids=len)
def test_a_release_answers_alike_however_its_numbers_come(release, rows):
    usual = release.predict(rows_to_batch(rows, SIGNATURE)[0])
    table = Reader(SIGNATURE).read(json.dumps({"rows": rows}).encode(), 100)
    quick = release.predict(Batches(release).of([(table, None)]))
    chosen = Batches(release).of([(table, range(len(rows))), (table, [])])
    for name, found in usual.items():
        assert found.dtype == quick[name].dtype
        np.testing.assert_array_equal(found, quick[name])
        np.testing.assert_array_equal(found, release.predict(chosen)[name])


@pytest.mark.parametrize("name", ["x", "pair", "x 0", "alone"])
def test_columns_may_bear_the_names_of_values_that_the_pipeline_makes(tmp_path, name):
    fields = tuple(replace(field, name=name) if field.name == "a" else field for field in SIGNATURE.inputs)
    steps = tuple(replace(s, inputs=tuple(name if i == "a" else i for i in s.inputs)) for s in PIPELINE.steps)
    steps = tuple(sorted(steps, key=lambda s: name not in s.inputs or s.op != "float"))
    signature = replace(SIGNATURE, inputs=fields)
    clashing = Release("d" * 64, tmp_path, signature, Runner(replace(PIPELINE, steps=steps), tmp_path))
    plain = Release("d" * 64, tmp_path, SIGNATURE, Runner(PIPELINE, tmp_path))
    rows = [{name if column == "a" else column: cell for column, cell in row.items()} for row in ROWS]
    table = Reader(signature).read(json.dumps({"rows": rows}).encode(), 100)
    expected = plain.predict(rows_to_batch(ROWS, SIGNATURE)[0])
    for batch in (Batches(clashing).of([(table, None)]), rows_to_batch(rows, signature)[0]):
        found = clashing.predict(batch)
        for output, values in expected.items():
            np.testing.assert_array_equal(found[output], values)


@pytest.mark.parametrize("cell", [0.1, -0.0, 3.4028235e38, 3.5e38, -1e300, None, True, 5e-324, float("nan")])
@pytest.mark.parametrize("count", [1, 3])
def test_numbers_side_by_side(cell, count):
    columns = [[cell] * count, [1.0] * count, [-1.0] * count]
    arrays = [np.array([np.nan if c is None else c for c in column], dtype=np.float64) for column in columns]
    found, expected = floats_of(columns), floats(*arrays)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
