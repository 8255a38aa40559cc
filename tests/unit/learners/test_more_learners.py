"""What the learners of other libraries promise beyond the contract of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from volant.bind.boosting import Part
from volant.cli.plugins import describe
from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.protocols import RunContext
from volant.learners.proximal import Penalty, descend
from volant.learners.tabular.neighbours import _merged, _stretch
from volant.runtime.arrays import nearest
from volant.runtime.load import Runner
from volant.testing.contract.tables import make_case

ENDLESS = float("inf")


def exported(name, case, folder, **options):
    learner = load("learners", name)
    chosen = replace(learner.portfolio(case.problem)[0], **options)
    model = learner.fit(case.train, case.problem, chosen, RunContext(validation=case.fresh))
    return model, Runner(model.export(folder), folder)


def answers(runner, case):
    (output,) = runner.pipeline.outputs
    return runner.predict(case.fresh.batch([c.name for c in case.problem.inputs]))[output]


@pytest.mark.parametrize("name", ["catboost", "xgboost"])
def test_without_its_library_a_learner_says_what_to_install(name, monkeypatch):
    monkeypatch.setattr("volant.core.plugins.find_spec", lambda library: None)
    support = load("learners", name).supports(make_case("any", 60, classes=("no", "yes")).problem)
    assert not support
    assert support.reason == f"it needs more to be installed: volant[{name}]"
    (listed,) = [one for one in describe("learners") if one["name"] == name]
    assert f"install volant[{name}]" in listed["summary"]


@pytest.mark.parametrize("name", ["catboost", "xgboost", "extra_trees"])
def test_a_fit_says_nothing_and_leaves_nothing_behind(name, tmp_path, monkeypatch, capfd):
    pytest.importorskip(name if name != "extra_trees" else "sklearn")
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    case = make_case("quiet", 120, classes=("b", "c", "a", "nobody"), types=("number", "category"))
    exported(name, case, tmp_path / "model")
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("classes", [(), ("no", "yes"), ("b", "c", "a")])
def test_extra_trees_keep_to_the_bound_on_nodes(classes, tmp_path):
    case = make_case("bound", 400, classes=classes, types=("number",) * 4)
    model, _ = exported("extra_trees", case, tmp_path, trees=10, most_nodes=300)
    assert model.facts()["nodes"] <= 300


def test_no_leaf_of_extra_trees_is_certain(tmp_path):
    case = make_case("certain", 200, classes=("no", "yes"), types=("number",))
    _, runner = exported("extra_trees", case, tmp_path)
    assert answers(runner, case).min() > 1e-4


def test_neighbours_keep_no_more_rows_than_asked_and_are_never_certain(tmp_path):
    case = make_case("kept", 500, classes=("b", "c", "a"), types=("number",) * 3)
    model, runner = exported("neighbours", case, tmp_path, most_rows=120, neighbours=3)
    assert model.facts()["rows"] == 120
    assert answers(runner, case).min() > 1e-3


@pytest.mark.parametrize("classes", [0, 3])
def test_neighbours_look_more_at_columns_that_tell_more(classes):
    x = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    score = x[:, 0] + 0.3 * x[:, 1]
    y = np.digitize(score, [-0.5, 0.5]) if classes else score
    told, less, nothing = _stretch(Part(x, y, np.ones(600)), classes, 1.0)
    assert told == 1.0
    assert told > less > nothing
    assert (_stretch(Part(x, y, np.ones(600)), classes, 0.0) == 1.0).all()


def test_an_l1_penalty_makes_coefficients_zero_and_reaches_the_minimum():
    from sklearn.linear_model import Lasso

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 12)).astype(np.float32)
    y = x[:, 0] - 2 * x[:, 1] + 0.1 * rng.normal(size=400)
    line = descend(
        Part(x, y, np.ones(400)), Penalty(40.0, 0.0), np.zeros(12), classes=0, iterations=500, seconds=ENDLESS
    )
    expected = Lasso(alpha=0.1).fit(x, y)
    assert (line.coefficients[2:] == 0).all()
    assert line.coefficients[:, 0] == pytest.approx(expected.coef_, abs=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_descent_ends_where_scikit_learn_ends(classes):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 6)).astype(np.float32)
    x[:, 5] = rng.random(500) < 0.03
    y = np.argmax(x[:, :classes] + rng.gumbel(size=(500, classes)), axis=1)
    weights = rng.uniform(0.5, 2.0, 500)
    given = Part(x, y, weights)
    line = descend(given, Penalty(0.0, 1.0), np.zeros(6), classes=classes, iterations=2000, seconds=ENDLESS)
    expected = LogisticRegression(C=1.0, tol=1e-8, max_iter=2000).fit(x, y, sample_weight=weights)
    assert np.abs(line.coefficients.T - expected.coef_).max() < 0.02


def test_columns_that_hardly_vary_hold_up_no_other():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    y = np.argmax(x[:, :3] + 0.3 * rng.gumbel(size=(300, 3)), axis=1)
    still = np.hstack([x, np.full((300, 1), 4e-6, np.float32)])
    given = {"classes": 3, "iterations": 300, "seconds": ENDLESS}
    plain = descend(Part(x, y, np.ones(300)), Penalty(0.0, 10.0), np.zeros(4), **given)
    beside = descend(Part(still, y, np.ones(300)), Penalty(0.0, 10.0), np.zeros(5), **given)
    assert beside.coefficients[:4] == pytest.approx(plain.coefficients, abs=1e-3)
    assert np.abs(plain.coefficients).max() > 0.5


def test_a_descent_out_of_time_ends_after_a_step():
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    line = descend(
        Part(x, x[:, 0], np.ones(50)), Penalty(0.0, 1.0), np.zeros(3), classes=0, iterations=10**6, seconds=0.0
    )
    assert line.iterations == 1


@pytest.mark.parametrize("says", ["place", "value"])
@pytest.mark.parametrize("neighbours", [1, 7, 40, 10_000])
def test_equal_rows_are_kept_once_and_answer_as_all_of_them_would(says, neighbours):
    rng = np.random.default_rng(neighbours)
    which = np.minimum(rng.geometric(0.1, 400), 60)  # the first of sixty rows comes most often
    arrays = {
        "rows": rng.integers(-2, 3, (61, 3)).astype(np.float32)[which],
        "weight": rng.uniform(0.5, 2, 400).astype(np.float32),
        says: rng.integers(0, 2, 400).astype(np.int32 if says == "place" else np.float32),
    }
    params = {
        "neighbours": neighbours,
        "sharpness": 2.0,
        "smoothing": 0.5,
        "prior": [0.5, 0.5] if says == "place" else [0.0],
    }
    asked = rng.normal(0, 1.5, (50, 3)).astype(np.float32)
    merged = _merged(arrays)
    assert len(merged["rows"]) < 125
    assert merged["copies"].sum() == 400
    assert np.allclose(nearest(merged, params)(asked), nearest(arrays, params)(asked), atol=1e-5)


def test_rows_of_which_few_are_equal_are_kept_as_they_are():
    rows = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    arrays = {"rows": np.concatenate([rows, rows[:5]]), "weight": np.ones(105), "place": np.zeros(105, np.int32)}
    assert _merged(arrays) is arrays


@pytest.mark.parametrize("name", ["catboost", "xgboost", "extra_trees", "neighbours", "linear"])
def test_an_estimate_grows_with_rows_and_classes(name):
    learner = load("learners", name)
    machine = Machine(cores=2, memory=2**33, disk=2**33)
    few, many = (make_case("cost", 60, classes=c).problem for c in (("a", "b"), tuple("abcdefgh")))
    assert learner.estimate(replace(few, rows=100_000), machine).seconds > learner.estimate(few, machine).seconds
    if name != "neighbours":
        assert learner.estimate(many, machine).seconds >= learner.estimate(few, machine).seconds
