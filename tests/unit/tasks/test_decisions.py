"""Decisions: what is chosen is what the release answers, costs follow the probabilities, thresholds the metric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volant.core.plugins import load
from volant.core.records import Column, Decision, Pipeline, Problem, Step
from volant.runtime.load import Runner
from volant.tasks.decisions import Aim, answers, choose, cost_threshold, costs_of
from volant.tasks.thresholds import candidates, count, measures

TASK = load("tasks", "classify")
CLASSES = ("no", "yes")
COSTS = ((0.0, 1.0), (5.0, 0.0))


def problem(classes=CLASSES, costs=()):
    return Problem("classify", "y", (Column("sex", "category"), Column("label", "number")), 10, classes, "cost", costs)


def served(p, decision, classes=CLASSES, batch=None):
    """The labels that a release gives for probabilities (n, C)."""
    raw = Pipeline(
        tuple(Step("constant", ("label",), "p", {"value": list(row)}) for row in p[:1]), {"probability": "p"}
    )
    finished = TASK.finish(raw, problem(classes), decision)
    labels = []
    for i, row in enumerate(p):
        steps = (Step("constant", ("label",), "p", {"value": row.tolist()}), *finished.steps[1:])
        one = {name: values[i : i + 1] for name, values in (batch or {}).items()} | {"label": np.zeros(1)}
        labels.append(Runner(Pipeline(steps, finished.outputs), None).predict(one)["label"][0])
    return labels


def drawn(n=4000, seed=0, classes=2, share=0.1):
    """Calibrated probabilities and classes drawn by them."""
    rng = np.random.default_rng(seed)
    alpha = np.full(classes, 0.6)
    alpha[0] *= (1 - share) / share if classes == 2 else 3
    p = rng.dirichlet(alpha, n)
    return p, (p.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)


@pytest.mark.parametrize(
    ("decision", "classes"),
    [
        (Decision(), CLASSES),
        (Decision(threshold=0.3), CLASSES),
        (Decision(costs=COSTS), CLASSES),
        (Decision(weights=(1.0, 0.2, 0.7)), ("a", "b", "c")),
        (Decision(costs=((0.0, 1.0, 2.0), (4.0, 0.0, 1.0), (9.0, 9.0, -1.0))), ("a", "b", "c")),
        (Decision(threshold=0.5, column="sex", thresholds=(("F", 0.2), ("M", 0.7))), CLASSES),
    ],
)
def test_a_release_answers_what_was_decided(decision, classes):
    p, _ = drawn(60, classes=len(classes))
    group = np.array((["F", "M", None] * 20), dtype=object)
    found = answers(p, decision, group)
    assert served(p, decision, classes, {"sex": group}) == [classes[i] for i in found]
    assert len(set(found.tolist())) > 1


def test_the_values_of_a_pipeline_are_never_overwritten_by_a_decision():
    step = Step("constant", ("label",), "p", {"value": [0.5, 0.5]})
    finished = TASK.finish(Pipeline((step,), {"probability": "p"}), problem(), Decision(costs=COSTS))
    names = [one.output for one in finished.steps]
    assert len(set(names)) == len(names)
    assert "label" not in names  # an input has that name


def test_least_expected_cost_is_the_threshold_of_theory():
    p, _ = drawn()
    threshold = cost_threshold(COSTS)
    assert threshold == pytest.approx(1 / 6)
    assert np.array_equal(answers(p, Decision(costs=COSTS)), answers(p, Decision(threshold=threshold)))
    assert cost_threshold(((0.0, 1.0), (0.0, 0.0))) is None


def test_costs_are_those_of_the_answer_and_unknown_answers_cost_the_most():
    assert costs_of(np.array([0, 1, -1]), COSTS).tolist() == [[0.0, 5.0], [1.0, 0.0], [1.0, 5.0]]
    units = TASK.units(np.array([0, 1, 1]), {"probability": np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5]])},
                       problem(costs=COSTS))  # fmt: skip
    assert units["a"].tolist() == [0, 0, 1]
    value = TASK.metrics["cost"].of(units, np.ones((1, 3)))
    assert value[0] == pytest.approx(5 / 3)


def test_the_answer_is_judged_and_not_the_likeliest_class():
    predicted = {"probability": np.array([[0.6, 0.4]] * 4), "label": np.array(["yes", "yes", "no", "new"], object)}
    units = TASK.units(np.array([1, 1, 1, 1]), predicted, problem())
    assert units["a"].tolist() == [1, 1, 0, -1]
    for name, value in (("accuracy", 0.5), ("recall", 0.5), ("precision", 1.0), ("cost", 0.5)):
        assert TASK.metrics[name].of(units, np.ones((1, 4)))[0] == value


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 200))
def test_measures_at_a_threshold_are_the_metrics_of_its_answers(seed, n):
    rng = np.random.default_rng(seed)
    p, y = np.round(rng.random(n), 2), rng.integers(0, 2, n)
    y[:2] = 0, 1
    cuts = candidates(p)
    found = measures(count(p, y == 1, np.ones(n), cuts), COSTS)
    both = np.stack([1 - p, p], axis=1)
    for i in rng.choice(len(cuts), min(5, len(cuts)), replace=False):
        labels = np.array(CLASSES, dtype=object)[answers(both, Decision(threshold=float(cuts[i])))]
        units = TASK.units(y, {"probability": both, "label": labels}, problem(costs=COSTS))
        for name in ("accuracy", "balanced_accuracy", "f1", "precision", "recall", "cost"):
            assert TASK.metrics[name].of(units, np.ones((1, n)))[0] == pytest.approx(found[name][i]), name


@pytest.mark.parametrize("metric", ["f1", "balanced_accuracy", "accuracy", "cost"])
def test_a_chosen_threshold_is_nearly_best_on_new_rows(metric):
    p, y = drawn(3000)
    chosen = choose(p, y, np.ones(len(y)), Aim(metric, costs=COSTS))
    assert chosen.low <= chosen.decision.threshold <= chosen.high
    new, truth = drawn(40_000, seed=1)
    cuts = candidates(new[:, 1])
    values = measures(count(new[:, 1], truth == 1, np.ones(len(truth)), cuts), COSTS)[metric]
    ours = values[np.argmin(np.abs(cuts - chosen.decision.threshold))]
    usual = values[np.argmin(np.abs(cuts - 0.5))]
    best, sign = (values.min(), -1) if metric == "cost" else (values.max(), 1)
    assert sign * ours >= sign * best - 0.015
    if metric != "accuracy":
        assert sign * ours > sign * usual + 0.02


def test_minima_are_kept_or_said_not_to_be():
    p, y = drawn(3000)
    ones = np.ones(len(y))
    chosen = choose(p, y, ones, Aim("precision", {"recall": 0.8}))
    found = measures(count(p[:, 1], y == 1, ones, np.array([chosen.decision.threshold])))
    assert chosen.kept
    assert 0.8 <= found["recall"][0] < 0.85
    impossible = choose(p, y, ones, Aim("recall", {"precision": 0.999, "accuracy": 0.999}))
    assert not impossible.kept


@pytest.mark.parametrize("metric", ["f1", "balanced_accuracy", "cost"])
def test_weights_of_several_classes_serve_the_metric_on_new_rows(metric):
    costs = tuple(tuple(float(r != c) * (r + 1) for c in range(4)) for r in range(4))
    aim = Aim(metric, costs=costs)
    p, y = drawn(4000, classes=4)
    decision = choose(p, y, np.ones(len(y)), aim).decision
    new, truth = drawn(20_000, seed=1, classes=4)
    given = problem(tuple("abcd"), costs)
    labels = np.array(list("abcd"), dtype=object)
    scores = []
    for one in (decision, Decision()):
        predicted = {"probability": new, "label": labels[answers(new, one)]}
        scores.append(TASK.metrics[metric].of(TASK.units(truth, predicted, given), np.ones((1, len(truth))))[0])
    assert scores[0] < scores[1] - 0.01 if metric == "cost" else scores[0] > scores[1] + 0.01


def test_the_same_rows_give_the_same_choice():
    p, y = drawn(500)
    assert choose(p, y, np.ones(500), Aim("f1")) == choose(p, y, np.ones(500), Aim("f1"))
