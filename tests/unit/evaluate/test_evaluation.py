"""A whole evaluation: complete, plain, fast, and closed where predictions are not numbers."""

import json
import time

import numpy as np
import pyarrow as pa
import pytest

from volant.columns.media import Stored
from volant.core.records import Column, Field, Pipeline, Problem, Schema, Signature, Step
from volant.evaluate.evaluation import evaluate, plain
from volant.evaluate.speed import Loading, measure_speed, size_of
from volant.release.export import Draft
from volant.tasks.classify import Classify
from volant.tasks.regress import Regress
from volant.testing.rows import MemoryRows

TASK = Classify()


@pytest.fixture(scope="module")
def evaluation(rows, problem, model):
    return evaluate(model, rows, task=TASK, problem=problem, slice_columns=["city"], importance_seconds=0.5)


def test_an_evaluation_is_complete(evaluation):
    assert (evaluation.task, evaluation.metric, evaluation.rows, evaluation.unknown) == (
        "classify",
        "log_loss",
        3000,
        0,
    )
    assert {s.metric for s in evaluation.scores} == set(TASK.metrics)
    assert [s.name for s in evaluation.slices] == ["city=Paris", "city=Lyon", "city=北京"]
    assert [s.metric for s in evaluation.slices[0].scores] == ["log_loss", "accuracy"]
    assert set(evaluation.views) == {"confusion", "classes", "calibration", "histogram", "curves", "hardest"}
    assert [one.column for one in evaluation.importance][0:1] == ["age"]
    assert evaluation.speed.p50_ms > 0
    assert evaluation.speed.rows_per_second > 0


def test_the_weak_slice_is_found(evaluation):
    assert "city=北京" in evaluation.weak[0].name
    assert evaluation.weak[0].scores[0].low > evaluation.scores[0].high


def test_its_record_is_plain_json(evaluation):
    text = json.dumps(evaluation.record(), allow_nan=False, ensure_ascii=False)
    again = json.loads(text)
    assert again["scores"][0]["metric"] == "log_loss"
    assert again["speed"]["memory_mb"] is None
    assert len(text) < 200_000


def test_what_is_not_finite_is_null():
    assert plain({"a": [float("nan"), np.float64("inf"), np.int64(3), (1.5,)]}) == {"a": [None, None, 3, [1.5]]}


def test_a_table_of_seven_thousand_rows_takes_seconds_only(make_rows, problem, model):
    large = make_rows(7000)
    started = time.process_time()
    evaluate(model, large, task=TASK, problem=problem, slice_columns=["city"], importance_seconds=0)
    assert time.process_time() - started < 5.0


def test_predictions_that_are_no_numbers_have_neither_scores_nor_views(rows, problem):
    def broken(batch):
        return {"probability": np.full((len(batch["age"]), 2), np.nan)}

    found = evaluate(broken, rows.take(np.arange(200)), task=TASK, problem=problem, importance_seconds=0)
    assert all(np.isnan(s.value) for s in found.scores)
    assert found.views == {}
    assert found.weak == ()
    json.dumps(found.record(), allow_nan=False)


def test_classes_that_the_candidate_does_not_know_are_counted(rows, model):
    narrow = Problem("classify", "answer", rows.schema.inputs, 3000, ("no", "maybe"), "log_loss")
    found = evaluate(model, rows, task=TASK, problem=narrow, importance_seconds=0)
    no = rows.table(["answer"]).column(0).to_pylist().count("no")
    assert found.unknown == 3000 - no
    assert all(s.n == no for s in found.scores)


@pytest.mark.parametrize("n", [1, 2, 31])
def test_few_rows_can_be_evaluated(make_rows, problem, model, n):
    found = evaluate(model, make_rows(n), task=TASK, problem=problem, slice_columns=["city"], importance_seconds=0.2)
    assert found.rows == n
    json.dumps(found.record(), allow_nan=False)


def test_sample_weights_count(rows, problem, model):
    weight = np.where(np.arange(3000) < 1000, 1.0, 0.0)
    weighed = MemoryRows.of(rows.schema, rows.columns, weight)
    found = evaluate(model, weighed, task=TASK, problem=problem, importance_seconds=0)
    part = evaluate(model, rows.take(np.arange(1000)), task=TASK, problem=problem, importance_seconds=0)
    assert found.scores[0].value == pytest.approx(part.scores[0].value)


def test_numbers_have_residuals():
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    schema = Schema((Column("x", "number"), Column("y", "number", "target")))
    rows = MemoryRows.of(schema, pa.table({"x": x, "y": 2 * x + rng.normal(size=500)}))
    problem = Problem("regress", "y", (Column("x", "number"),), 500, (), "rmse")
    found = evaluate(lambda batch: {"value": 2 * batch["x"]}, rows, task=Regress(), problem=problem)
    assert set(found.views) == {"residuals"}
    assert found.scores[0].metric == "rmse"
    assert found.scores[0].low < 1.0 < found.scores[0].high
    assert found.importance[0].column == "x"


def candidate(folder):
    signature = Signature("classify", "answer", (Field("age", "number"),), (Field("label", "category"),), ("no", "yes"))
    draft = Draft(folder)
    draft.write(
        Pipeline((Step("constant", ("age",), "p", {"value": [0.4, 0.6]}),), {"probability": "p"}), signature, {}
    )
    return draft.finish()


def test_memory_and_loading_are_measured_in_a_process_of_its_own(tmp_path):
    folder = candidate(tmp_path)
    with Loading(folder) as loading:
        speed = measure_speed(lambda batch: batch, {"age": np.zeros(3)}, loading, folder=folder)
    assert 0 <= speed.memory_mb < 200
    assert speed.load_ms > 0
    assert speed.size_bytes == size_of(folder) > 100
    assert speed.p50_ms <= speed.p95_ms <= speed.p99_ms


def test_what_was_made_of_a_file_before_does_not_make_it_quick():
    class Remembering:
        def read(self, name):
            return b"a picture"

        def remember(self, names, key, make):
            raise AssertionError("looked up what a request could not know")

    seen = []
    cells = np.empty(3, dtype=object)
    cells[:] = [Stored(str(i), Remembering()) for i in range(3)]
    with Loading(None) as loading:
        speed = measure_speed(lambda batch: seen.append(batch["photo"]), {"photo": cells}, loading)
    assert {type(cell) for batch in seen for cell in batch} == {bytes}
    assert speed.thousand_ms >= 0


def test_a_folder_that_is_no_release_has_no_memory(tmp_path):
    with Loading(tmp_path) as loading:
        assert loading.result() == (None, None)
    with Loading(None) as loading:
        assert loading.result() == (None, None)
    with Loading(tmp_path):
        pass  # left without a result, nothing stays behind


def test_a_value_that_few_rows_have_is_not_named(make_rows, problem, model):
    few = make_rows(400)
    place = few.columns.schema.get_field_index("city")
    cells = ["Smith's farm"] * 4 + few.columns.column("city").to_pylist()[4:]
    rows = MemoryRows.of(few.schema, few.columns.set_column(place, "city", pa.array(cells)))
    found = evaluate(model, rows, task=TASK, problem=problem, slice_columns=["city"], importance_seconds=0)
    assert "Smith" not in json.dumps(found.record())
