"""The search: deterministic under work budgets, on time under time budgets, resumable, honest about failures."""

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.tables import dataset, rows

from volant.core.budget import Budget, Spending
from volant.core.clock import Machine
from volant.core.plugins import load
from volant.core.progress import Silent
from volant.core.records import Pipeline, Step
from volant.search.search import Search
from volant.search.trials import Rules

TASK = load("tasks", "classify")


def search(tmp_path, budget="14 units", *, data=None, learners=None, folder="fits", **rules):
    data = data or dataset(tmp_path / "data", rows(classes=3))
    train = data.part("train")
    problem = TASK.problem(train, "label", "log_loss")
    return Search(
        train,
        problem,
        TASK,
        learners=learners or {n: load("learners", n) for n in ("prior", "linear", "boosted_trees")},
        rules=Rules(threads=1, metric="log_loss", **rules),
        spending=Spending(Budget.parse(budget)),
        folder=tmp_path / folder,
        progress=Silent(),
        machine=Machine(cores=1, memory=2**33, disk=2**33),
    )


def summary(found):
    return [(t.configuration.name, t.status, t.score, t.weight) for t in found.trials], found.calibration, found.score


def test_the_same_work_gives_the_same_result(tmp_path):
    one, two = search(tmp_path, folder="a").run(), search(tmp_path, folder="b").run()
    assert summary(one) == summary(two)
    assert [m.fit.pipeline for m in one.members] == [m.fit.pipeline for m in two.members]


def test_units_are_never_exceeded_and_more_of_them_try_more(tmp_path):
    tried = []
    for units in (1, 2, 15, 30):
        run = search(tmp_path, f"{units} units", folder=f"f{units}")
        found = run.run()
        assert run.spending.units <= units
        tried.append(sum(t.status == "done" for t in found.trials))
    assert tried[0] == 0
    assert tried == sorted(tried)
    assert tried[-1] >= 2


def test_a_budget_below_one_fit_gives_the_baseline_and_says_so(tmp_path):
    found = search(tmp_path, "1 units").run()
    assert found.only_baseline
    assert len(found.members) == 1
    assert all(t.status == "skipped" for t in found.trials)


def test_a_run_goes_on_where_it_stood(tmp_path):
    class Stop(BaseException):
        pass

    class Interrupted(Silent):
        fits = 0

        def advance(self, done, note=""):
            self.fits += 1
            if self.fits == 4:
                raise Stop

    first = search(tmp_path, folder="resumed")
    first.progress = Interrupted()
    with pytest.raises(Stop):
        first.run()
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "resumed").iterdir()}
    again = search(tmp_path, folder="resumed").run()
    assert {n: (tmp_path / "resumed" / n).stat().st_mtime_ns for n in kept} == kept
    assert summary(again) == summary(search(tmp_path, folder="whole").run())


def test_a_time_budget_holds(tmp_path):
    data = dataset(tmp_path / "data", rows(4000, classes=3))
    search(tmp_path, "3 units", data=data, folder="warm").run()
    for seconds in (1, 4):
        run = search(tmp_path, f"{seconds}s", data=data, folder=f"t{seconds}")
        started = time.monotonic()
        found = run.run()
        assert time.monotonic() - started < seconds + 1.5
        assert found.members


@dataclass(frozen=True)
class NoOptions:
    pass


class Broken:
    name, version, summary, options = "broken", 1, "fails", NoOptions

    def __init__(self, how):
        self.how = how

    def supports(self, problem):
        return load("learners", "linear").supports(problem)

    def estimate(self, problem, machine):
        return replace(load("learners", "linear").estimate(problem, machine), bytes=2**60 if self.how == "huge" else 1)

    def portfolio(self, problem):
        return (NoOptions(),)

    def settle(self, options, facts):
        return options

    def fit(self, data, problem, options, context):
        made = load("learners", "prior").fit(data, problem, load("learners", "prior").options(), context)
        if self.how == "nan":
            return replace(made, value=[float("nan")] * len(problem.classes))
        if self.how == "shape":
            return replace(made, value=[0.2] * (len(problem.classes) + 1))
        if self.how == "step":
            return OddStep()
        raise RuntimeError("a customer's name")


class OddStep:
    """A model whose export asks for what no runtime has."""

    def export(self, folder):
        return Pipeline((Step("execute", ("x",), "out"),), {"probability": "out"})

    def facts(self):
        return {}


HOW = [("raise", "failed"), ("nan", "failed"), ("shape", "failed"), ("step", "failed"), ("huge", "skipped")]


@pytest.mark.parametrize(("how", "status"), HOW)
def test_a_learner_that_fails_leaves_the_others_alone(tmp_path, how, status):
    learners = {"broken": Broken(how), "prior": load("learners", "prior"), "linear": load("learners", "linear")}
    found = search(tmp_path, "14 units", learners=learners).run()
    states = {t.configuration.learner.name: t.status for t in found.trials}
    assert states["broken"] == status
    assert not any("customer" in t.reason for t in found.trials)
    assert any(t.status == "done" for t in found.trials)
    assert not found.only_baseline


class Useless(Broken):
    """A learner that answers with frequencies, and counts how often it was asked."""

    name = "useless"

    def __init__(self):
        super().__init__("frequencies")
        self.fits = 0

    def fit(self, data, problem, options, context):
        self.fits += 1
        return load("learners", "prior").fit(data, problem, load("learners", "prior").options(), context)


def test_what_adds_nothing_on_its_first_folds_is_not_fitted_on_the_others(tmp_path):
    useless = Useless()
    learners = {n: load("learners", n) for n in ("prior", "linear", "boosted_trees")} | {"useless": useless}
    run = search(tmp_path, "20s", learners=learners)
    run.rules = replace(run.rules, threads=2)
    run.pace.rules = run.rules
    found = run.run()
    (trial,) = [t for t in found.trials if t.learner == "useless"]
    assert (trial.status, trial.weight) == ("beaten", 0.0)
    assert useless.fits == -(-(found.folds + 2) // 3 // 2) * 2 < found.folds


def test_trees_beat_the_line_where_the_truth_is_no_line_and_predictions_are_probabilities(tmp_path):
    found = search(tmp_path, "14 units").run()
    for trial in found.trials:
        if trial.predicted is not None:
            assert np.allclose(trial.predicted.sum(axis=1), 1.0, atol=1e-6)
    assert found.score < 0.8
