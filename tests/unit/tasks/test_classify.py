"""What `classify` makes of targets, predictions and feedback."""

import numpy as np
import pyarrow as pa
import pytest

from volant.core.records import Column, Pipeline, Problem, Schema, Step
from volant.errors import BadInput, Failure
from volant.tasks.classify import Classify, align, class_order
from volant.testing.rows import MemoryRows

TASK = Classify()
TEXT = pa.string()


def rows_of(labels, name="answer", storage=TEXT):
    schema = Schema((Column("x", "number"), Column(name, "category", "target")))
    return MemoryRows.of(schema, pa.table({"x": np.arange(len(labels), dtype=float), name: pa.array(labels, storage)}))


def problem_of(*classes):
    return Problem("classify", "answer", (Column("x", "number"),), 10, classes, "log_loss")


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "2"], ("2", "9", "10")),
        (["1.5", "-2", "1e1"], ("-2", "1.5", "1e1")),
        (["class 10", "class 9", "class 1"], ("class 1", "class 9", "class 10")),
        (["yes", "no"], ("no", "yes")),
        (["True", "False"], ("False", "True")),
        (["1", "0"], ("0", "1")),
        (["是", "否"], ("否", "是")),
        (["正常", "异常"], ("正常", "异常")),
        (["absent", "present"], ("absent", "present")),
        (["never", "always"], ("never", "always")),
        (["b", "a", "B"], ("a", "B", "b")),
        (["007", "7"], ("007", "7")),
        (["9" * 5000 + "a", "1a"], ("1a", "9" * 5000 + "a")),
    ],
)
def test_classes_have_their_natural_order(labels, order):
    assert class_order(labels) == order
    assert class_order(labels[::-1]) == order


def test_a_problem_has_the_classes_of_its_rows_and_never_the_target_as_input():
    problem = TASK.problem(rows_of(["b", "a", None, "b"]), "answer")
    assert problem.classes == ("a", "b")
    assert [c.name for c in problem.inputs] == ["x"]
    assert problem.rows == 4
    assert problem.metric == "log_loss"


@pytest.mark.parametrize(
    ("rows", "target", "code"),
    [
        (rows_of(["a", "b"]), "anwser", "target-missing"),
        (rows_of([None, None]), "answer", "target-missing"),
        (rows_of([]), "answer", "target-missing"),
        (rows_of(["a", "a", None]), "answer", "target-unfit"),
        (rows_of([f"id {i}" for i in range(50)]), "answer", "target-unfit"),
    ],
)
def test_a_target_that_leaves_nothing_to_learn_is_refused_with_a_fix(rows, target, code):
    with pytest.raises(BadInput) as caught:
        TASK.problem(rows, target)
    assert caught.value.code == code
    assert caught.value.troubles[0].fix or caught.value.troubles[0].meant == "answer"


def test_numbers_and_booleans_make_classes_too():
    assert TASK.problem(rows_of([2.0, 10.0, 2.0, 10.0], storage=pa.float64()), "answer").classes == ("2", "10")
    assert TASK.problem(rows_of([True, False, True], storage=pa.bool_()), "answer").classes == ("false", "true")


def test_encoding_gives_the_place_of_each_class():
    rows = rows_of(["b", "a", None, "new"])
    assert TASK.encode(rows, problem_of("a", "b")).tolist() == [1, 0, -1, -1]
    assert TASK.encode(rows, problem_of("a", "b")).dtype == np.int64


def test_units_take_indices_and_labels_and_mark_what_is_unknown():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    by_label = TASK.units(np.array(["b", "c", None], dtype=object), {"probability": p}, problem_of("a", "b"))
    assert by_label["y"].tolist() == [1, -1, -1]
    assert TASK.units(np.array([1, 0, 2]), {"probability": p}, problem_of("a", "b"))["y"].tolist() == [1, 0, -1]


def test_predictions_of_another_shape_are_refused():
    with pytest.raises(Failure, match="shape"):
        TASK.units(np.array([0]), {"probability": np.ones((1, 3))}, problem_of("a", "b"))


def test_finishing_adds_a_decision_whose_name_no_column_has():
    pipeline = Pipeline((Step("onnx", ("label",), "raw"),), {"probability": "raw"})
    problem = Problem("classify", "answer", (Column("label", "number"),), 10, ("a", "b"), "")
    finished = TASK.finish(pipeline, problem)
    assert finished.steps[-1] == Step("decide", ("raw",), "label_0", {"classes": ["a", "b"], "threshold": None})
    assert dict(finished.outputs) == {"label": "label_0", "probability": "raw"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [("b", "b"), (" B ", "b"), ("new", "new"), (7, "7"), (7.0, "7"), (True, "true"), ("新类", "新类")],
)
def test_a_correction_is_a_label_and_may_be_new(said, meant):
    assert TASK.parse_feedback("correction", said, ("a", "b")) == meant


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("correction", ""),
        ("correction", "  "),
        ("correction", None),
        ("correction", ["a"]),
        ("correction", "a\x00b"),
        ("correction", "x" * 501),
        ("correction", float("nan")),
        ("rating", "sideways"),
        ("rating", 1),
        ("applause", "up"),
    ],
)
def test_feedback_of_another_form_is_refused_without_its_value(kind, value):
    with pytest.raises(BadInput) as caught:
        TASK.parse_feedback(kind, value, ("a", "b"))
    assert caught.value.code == "feedback-invalid"
    if isinstance(value, str) and len(value) > 3:
        assert value not in caught.value.text()


def test_what_feedback_implies():
    two = {"label": "a", "probabilities": {"a": 0.7, "b": 0.3}}
    three = {"label": "a", "probabilities": {"a": 0.7, "b": 0.2, "c": 0.1}}
    assert TASK.label("correction", "c", three) == "c"
    assert TASK.label("rating", "up", three) == "a"
    assert TASK.label("rating", "down", two) == "b"
    assert TASK.label("rating", "down", three) is None


def test_units_of_another_set_of_classes_are_put_in_order():
    units = {"y": np.array([0, 1, -1]), "p": np.array([[0.6, 0.4], [0.1, 0.9], [0.5, 0.5]])}
    moved = align(units, ("b", "x"), ("a", "b"))
    assert moved["y"].tolist() == [1, -1, -1]
    assert moved["p"].tolist() == [[0.0, 0.6], [0.0, 0.1], [0.0, 0.5]]


def test_what_is_imagined_follows_the_model_that_explains_the_labels():
    y = np.zeros(200, dtype=np.int64)
    poor, good = np.tile([0.5, 0.5], (200, 1)), np.tile([0.99, 0.01], (200, 1))
    probable = [share for share, _, _ in TASK.imagine({"y": y, "p": poor}, {"y": y, "p": good})]
    assert np.allclose(np.sum(probable, axis=0), 1.0)
    assert probable[1][0] == pytest.approx(0.015, abs=0.006)


def test_a_class_that_one_model_does_not_know_is_imagined_only_where_it_was_seen():
    champion = np.tile([0.5, 0.5, 0.0], (30, 1))
    challenger = np.tile([0.4, 0.4, 0.2], (30, 1))
    for y, classes in ((np.zeros(30, dtype=np.int64), {0, 1}), (np.full(30, 2), {0, 1, 2})):
        imagined = list(TASK.imagine({"y": y, "p": champion}, {"y": y, "p": challenger}))
        assert {int(units["y"][0]) for _, units, _ in imagined} == classes
        assert np.allclose(sum(probable for probable, _, _ in imagined), 1.0)
