"""What fits need is fetched before they are planned, and only where there is time for them afterwards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from volant.core.budget import Budget, Spending
from volant.core.clock import Clock, Machine
from volant.core.records import Cost, Problem
from volant.search.fits import Configuration
from volant.search.given import Given
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
def test_a_heavy_learner_wakes_once_inside_the_budget(settled):
    ticking = Ticking()
    heavy = Heavy(ticking)
    learner = Given(heavy, {"rate": 1.0}) if settled else heavy
    found, trials = pace(ticking, "60s"), [trial(learner), trial(learner)]
    found.wake(trials)
    assert heavy.woken == 1
    assert found.left() == 50.0, "what waking took is not planned with any more"
    assert found.expected(trials[0]) == 2.0


def test_it_sleeps_on_where_there_is_no_time_for_its_fits():
    ticking = Ticking()
    heavy = Heavy(ticking)
    pace(ticking, "4s").wake([trial(heavy)])
    assert not heavy.woken


def test_what_is_left_out_does_not_wake():
    ticking = Ticking()
    heavy = Heavy(ticking)
    left_out = trial(heavy)
    left_out.status = "unsupported"
    pace(ticking, "60s").wake([left_out])
    assert not heavy.woken
