"""What fits need is fetched before they are timed, and what they had no time for is not shipped."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from volant.core.budget import Budget, Spending
from volant.core.clock import Clock, Machine
from volant.core.records import Cost, Problem
from volant.search.fits import Configuration
from volant.search.given import Given
from volant.search.lasts import cut_short
from volant.search.pace import Pace
from volant.search.trials import Rules, Trial


class Ticking:
    def __init__(self):
        self.now = 0.0

    def clock(self):
        return Clock(monotonic=lambda: self.now)


class Heavy:
    """A learner that needs something which takes ten seconds to fetch; its fits wait for it if nobody else did."""

    name, version = "heavy", 1

    def __init__(self, ticking):
        self.ticking, self.woken = ticking, 0

    def estimate(self, problem, machine):
        return Cost(seconds=2.0 + (0.0 if self.woken else 10.0), bytes=1)

    def wake(self):
        self.woken += 1
        self.ticking.now += 10.0


def pace(ticking, budget):
    problem = Problem("classify", "y", (), 100, ("no", "yes"), "log_loss")
    machine = Machine(cores=2, memory=10**10, disk=10**10)
    spending = Spending(Budget.parse(budget), ticking.clock())
    return Pace(problem, machine, Rules(seed=0, threads=2, metric="log_loss"), spending, lambda: 0.0)


def trial(learner):
    return Trial(Configuration(learner, SimpleNamespace()))


@pytest.mark.parametrize("settled", [False, True])
def test_a_heavy_learner_wakes_inside_the_budget_before_its_fits_are_timed(settled):
    ticking = Ticking()
    heavy = Heavy(ticking)
    learner = Given(heavy, {"rate": 1.0}) if settled else heavy
    found, tried = pace(ticking, "60s"), trial(learner)
    assert found.wake(tried)
    assert heavy.woken == 1
    assert found.left() == 50.0, "what waking took is not planned with any more"
    assert found.expected(tried) == 2.0


def test_where_waking_took_all_the_time_nothing_is_begun():
    ticking = Ticking()
    assert not pace(ticking, "10s").wake(trial(Heavy(ticking)))
    assert pace(ticking, "5 units").wake(trial(Heavy(ticking))), "units of work read no clock"


@pytest.mark.parametrize(
    ("last", "folds", "short"),
    [
        ({"epochs": 0.4}, [{"epochs": 10.0}, {"epochs": 12.0}], True),
        ({"epochs": 8.0}, [{"epochs": 10.0}, {"epochs": 12.0}], False),
        ({"trees": 3}, [{"trees": 100}], False),
        ({"epochs": 1.0}, [], False),
    ],
)
def test_a_last_fit_that_saw_its_rows_hardly_at_all_is_not_shipped(last, folds, short):
    assert cut_short(last, folds) == short


def test_time_is_kept_for_what_leads_to_predict_the_rows_outside():
    found = pace(Ticking(), "60s")
    found.outside, found.per_row = 10_000, 1.1e-3
    assert found.left() == pytest.approx(50.0)
    found.per_row = 5e-5
    assert found.left() == 60.0, "what is usual is thought of already"
