"""What `regress` makes of targets, predictions and feedback."""

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Pipeline, Problem, Schema, Step
from volant.errors import BadInput, Failure
from volant.tasks.regress import Regress
from volant.testing.rows import MemoryRows

TASK = Regress()
NUMBER = pa.float64()
PROBLEM = Problem("regress", "price", (Column("x", "number"),), 3, (), "rmse")


def rows_of(values, storage=NUMBER):
    schema = Schema((Column("x", "number"), Column("price", "number", "target")))
    table = pa.table({"x": np.arange(len(values), dtype=float), "price": pa.array(values, storage)})
    return MemoryRows.of(schema, table)


def test_a_problem_has_no_classes():
    problem = TASK.problem(rows_of([1.0, 2.0, None]), "price")
    assert problem.classes == ()
    assert problem.metric == "rmse"
    assert [c.name for c in problem.inputs] == ["x"]


@pytest.mark.parametrize(
    ("rows", "code", "said"),
    [
        (rows_of([None, None]), "target-missing", "no values"),
        (rows_of([3.0, 3.0, None]), "target-unfit", "same value in all 2 rows"),
        (rows_of([1.0, float("inf")]), "target-unfit", "first in rows 1"),
        (rows_of([1.0, 1e308]), "target-unfit", "first in rows 1"),
        (rows_of([1e98, 2.0]), "target-unfit", "first in rows 0"),
        (rows_of([1e-300, 3e-300]), "target-unfit", "in a smaller unit"),
        (rows_of(["a", "b"], pa.string()), "target-unfit", 'type = "number"'),
    ],
)
def test_a_target_that_leaves_nothing_to_learn_is_refused(rows, code, said):
    with pytest.raises(BadInput) as caught:
        TASK.problem(rows, "price")
    assert caught.value.code == code
    assert said in caught.value.text()


def test_a_metric_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(BadInput) as caught:
        TASK.problem(rows_of([1.0, 2.0]), "price", "rsme")
    assert caught.value.troubles[0].meant == "rmse"


def test_rows_without_a_truth_do_not_count():
    units = TASK.units(np.array([1.0, np.nan, 3.0]), {"value": np.array([1.0, 100.0, 5.0])}, PROBLEM)
    assert TASK.metrics["mae"].of(units, np.ones((1, 3)))[0] == 1.0


def test_predictions_of_another_shape_are_refused():
    with pytest.raises(Failure, match="shape"):
        TASK.units(np.zeros(2), {"value": np.zeros((2, 1))}, PROBLEM)


def test_finishing_leaves_the_value_as_the_answer():
    pipeline = Pipeline((Step("onnx", ("x",), "raw"),), {"value": "raw"})
    assert dict(TASK.finish(pipeline, PROBLEM).outputs) == {"value": "raw"}


@pytest.mark.parametrize(("said", "meant"), [(3, 3.0), (2.5, 2.5), (" 1e3 ", 1000.0), ("-7", -7.0)])
def test_a_correction_is_a_number(said, meant):
    assert TASK.parse_feedback("correction", said) == meant


@pytest.mark.parametrize("value", [True, None, "many", float("nan"), float("inf"), 10**400, "1e999", {}, [1]])
def test_a_correction_that_is_no_number_is_refused(value):
    with pytest.raises(BadInput) as caught:
        TASK.parse_feedback("correction", value)
    assert caught.value.code == "feedback-invalid"


def test_only_a_correction_implies_a_label():
    assert TASK.label("correction", 3, {"value": 2.0}) == 3.0
    assert TASK.label("rating", "up", {"value": 2.0}) is None


def test_what_is_not_defined_is_not_a_number():
    same = {"y": np.array([2.0, 2.0]), "f": np.array([1.0, 3.0])}
    zero = {"y": np.array([0.0, 0.0]), "f": np.array([1.0, 3.0])}
    assert np.isnan(TASK.metrics["r2"].of(same, np.ones((1, 2)))[0])
    assert np.isnan(TASK.metrics["spearman"].of(same, np.ones((1, 2)))[0])
    assert np.isnan(TASK.metrics["mape"].of(zero, np.ones((1, 2)))[0])
    assert np.isnan(TASK.metrics["rmse"].of(same, np.zeros((1, 2)))[0])
