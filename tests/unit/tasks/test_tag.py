"""`tag`: labels, their metrics, their thresholds, and what feedback says of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score, f1_score, log_loss

from volant.core.protocols import CheckContext
from volant.core.records import Column, Decision, Pipeline, Schema, Step
from volant.data.checks.class_imbalance import ClassImbalance
from volant.errors import BadInput
from volant.evaluate.compare import Imagines, compare
from volant.runtime.load import Runner
from volant.tasks.marks import thresholds
from volant.tasks.metrics import ready
from volant.tasks.tag import Tag
from volant.tasks.tag_metrics import METRICS
from volant.testing.rows import MemoryRows

TASK = Tag()
LABELS = ("cat", "cow", "dog")


def rows(cells):
    columns = {"x": pa.array(np.arange(len(cells), dtype=float)), "y": pa.array(cells, pa.string())}
    return MemoryRows.of(Schema((Column("x", "number"), Column("y", "labels", "target"))), pa.table(columns))


CELLS = ['["cat"]', "[]", '["cat","dog"]', None, '{"cow":true,"dog":false}', '["cow"]'] * 2


def some_units(n=200, seed=0, unknown=0.0):
    dice = np.random.default_rng(seed)
    p = dice.random((n, 3))
    y = (dice.random((n, 3)) < p).astype(np.int64)
    y[dice.random((n, 3)) < unknown] = -1
    return {"y": y, "p": p, "a": (p >= 0.5).astype(np.int64)}


def value(name, units):
    return float(ready(METRICS[name], units)(np.ones((1, len(units["y"]))))[0])


def test_labels_are_there_are_not_or_nobody_has_said():
    data = rows(CELLS)
    problem = TASK.problem(data, "y")
    assert problem.labels == LABELS
    assert problem.classes == ()
    wanted = [[1, 0, 0], [0, 0, 0], [1, 0, 1], [-1, -1, -1], [-1, 1, 0], [0, 1, 0]]
    assert TASK.encode(data, problem).tolist() == wanted * 2


@pytest.mark.parametrize("cells", [["[]", "[]"], ['["a"]', '["a"]'], [f'["{i}"]' for i in range(9)]])
def test_a_target_that_teaches_nothing_is_refused(cells):
    with pytest.raises(BadInput) as raised:
        TASK.problem(rows(cells), "y")
    assert raised.value.code == "target-unfit"


def test_metrics_agree_with_scikit_learn():
    units = some_units()
    y, p, a = units["y"], units["p"], units["a"]
    assert value("macro_f1", units) == pytest.approx(f1_score(y, a, average="macro"))
    assert value("average_precision", units) == pytest.approx(average_precision_score(y, p, average="macro"))
    assert value("log_loss", units) == pytest.approx(np.mean([log_loss(y[:, i], p[:, i]) for i in range(3)]))
    assert value("exact_match", units) == pytest.approx((y == a).all(axis=1).mean())


def test_what_nobody_has_said_counts_for_nothing():
    units = some_units(unknown=0.3)
    other = {**units, "p": np.where(units["y"] < 0, 1 - units["p"], units["p"])}
    other["a"] = np.where(units["y"] < 0, 1 - units["a"], units["a"])
    for name in METRICS:
        assert value(name, units) == pytest.approx(value(name, other)), name


def test_a_threshold_follows_from_held_out_rows_and_few_rows_keep_a_half():
    dice = np.random.default_rng(3)
    likely = dice.random(2_000) * 0.4  # a rare label, whose probabilities are honest and never above a half
    y = (dice.random(2_000) < likely).astype(np.int64)
    few = np.zeros(2_000, dtype=np.int64)
    few[:4] = 1
    found = thresholds(np.stack([likely, likely], axis=1), np.stack([y, few], axis=1), np.ones(2_000))
    assert 0.1 < found[0] < 0.3
    assert found[1] == 0.5


def test_the_answer_marks_each_label_from_its_own_threshold_on(tmp_path):
    problem = TASK.problem(rows(CELLS), "y")
    step = Step("constant", ("x",), "raw", {"value": [0.4, 0.4, 0.6]})
    made = TASK.finish(Pipeline((step,), {"probability": "raw"}), problem, Decision(marks=(0.3, 0.5, 0.5)))
    found = Runner(made, tmp_path).predict({"x": np.zeros(2)})
    assert found["labels"].tolist() == [[True, False, True]] * 2


@pytest.mark.parametrize(
    ("kind", "said", "canonical", "cell"),
    [
        ("correction", ["dog", "CAT"], ["cat", "dog"], '["cat","dog"]'),
        ("correction", "dog|cat", ["cat", "dog"], '["cat","dog"]'),
        ("correction", [], [], "[]"),
        ("correction", ["yak"], ["yak"], '["yak"]'),
        ("presence", {"dog": True}, {"dog": True}, '{"dog":true}'),
        ("confirmation", True, True, '["cow"]'),
    ],
)
def test_feedback_is_read(kind, said, canonical, cell):
    assert TASK.parse_feedback(kind, said, LABELS) == canonical
    assert TASK.label(kind, canonical, {"labels": ["cow"]}) == cell


@pytest.mark.parametrize(("kind", "said"), [("presence", ["dog"]), ("correction", {"dog": True}), ("presence", {}),
                                            ("correction", 3.5), ("correction", None), ("rating", "up")])  # fmt: skip
def test_feedback_of_another_form_is_refused(kind, said):
    with pytest.raises(BadInput) as raised:
        TASK.parse_feedback(kind, said, LABELS)
    assert raised.value.code == "feedback-invalid"


def test_truths_that_are_imagined_widen_the_bound_where_harm_is_rare():
    assert isinstance(TASK, Imagines)
    n = 60
    y = np.zeros((n, 3), dtype=np.int64)
    careful = {"y": y, "p": np.full((n, 3), 0.02), "a": y}
    rash = {"y": y, "p": np.full((n, 3), 1e-6), "a": y}  # right on all rows, and badly wrong one day
    found = compare(careful, rash, task=TASK, metric="log_loss")[0]
    assert found.difference > 0
    assert found.low < 0


def test_labels_that_few_rows_carry_are_told_before_training():
    data = rows(['["cat"]'] * 12 + ['["dog"]', "[]"])
    [found] = ClassImbalance().run(data, TASK.problem(data, "y"), CheckContext(task=TASK, target="y"))
    assert found.what == "1 of 2 labels is carried by fewer than 10 rows"
