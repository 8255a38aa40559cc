"""A second look at labels takes its share of a turn's time, and no more."""

import pytest
from tests.e2e.test_wheel import answer, split_product

from volant.core.budget import Budget, Spending
from volant.core.clock import Clock
from volant.search.fits import Fits
from volant.wheel.context import work_on
from volant.wheel.learn import assemble
from volant.wheel.second import FOLDS, SHARE

BUDGET = 100.0


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    handle, rows, labels = split_product(tmp_path_factory.mktemp("answered"), 200)
    handle.train(budget="1 units")
    answer(handle, rows[:200], labels[:200])
    return handle


class Hand:
    """A clock whose hand moves only when fits are made, each of which takes the same time."""

    def __init__(self, takes: float) -> None:
        self.takes, self.now, self.allowed = takes, 0.0, list[float]()

    def moved(self, monkeypatch) -> None:
        make = Fits.make

        def slowly(fits, name, configuration, data, context):
            self.allowed.append(context.seconds)
            self.now += self.takes
            return make(fits, name, configuration, data, context)

        monkeypatch.setattr(Fits, "make", slowly)


def looked(handle, hand, monkeypatch, budget=f"{BUDGET:g}s"):
    hand.moved(monkeypatch)
    clock = Clock(monotonic=lambda: hand.now)
    with work_on(handle.product, clock=clock) as context:
        assemble(context, Spending(Budget.parse(budget), clock))
    return hand.allowed


def test_the_fits_share_a_part_of_the_turn(answered, monkeypatch):
    allowed = looked(answered, Hand(SHARE * BUDGET / FOLDS), monkeypatch)
    assert allowed == pytest.approx([SHARE * BUDGET / FOLDS] * FOLDS)


def test_what_one_fit_takes_too_long_the_others_do_not_get(answered, monkeypatch):
    allowed = looked(answered, Hand(1.1 * SHARE * BUDGET / FOLDS), monkeypatch)
    assert len(allowed) == FOLDS
    assert sum(allowed[1:]) < sum(allowed[:1]) * (FOLDS - 1)


def test_fits_that_heed_no_deadline_are_given_up_after_the_first(answered, monkeypatch):
    assert len(looked(answered, Hand(0.5 * BUDGET), monkeypatch)) == 1


def test_where_no_time_is_left_there_is_no_second_look(answered, monkeypatch):
    assert looked(answered, Hand(1.0), monkeypatch, budget="0.01s") == []


def test_under_a_budget_of_work_nothing_is_cut_short(answered, monkeypatch):
    assert looked(answered, Hand(1e6), monkeypatch, budget="4 units") == [float("inf")] * FOLDS
