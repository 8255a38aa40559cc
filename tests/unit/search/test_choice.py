"""A release stays within what it may weigh; what is too large teaches a student."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from volant.core.plugins import load
from volant.core.records import Column, Schema
from volant.search.choice import choose, leaders
from volant.search.distil import Lesson
from volant.search.ensemble import greedy_weights
from volant.search.logarithm import Logarithm, skewness
from volant.search.trials import Rules, Trial
from volant.search.views import WithTarget, WithWeights
from volant.testing.rows import MemoryRows


def squared(truth):
    return lambda p: float(((p - truth) ** 2).mean())


def test_members_that_do_not_fit_together_are_not_combined():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    members = [truth + rng.normal(size=500) for _ in range(4)]
    free = greedy_weights(members, squared(truth))
    assert sum(w > 0 for w in free) >= 3
    sizes = np.array([[4.0], [4.0], [4.0], [9.0]])
    tight = greedy_weights(members, squared(truth), sizes=sizes, room=np.array([8.0]))
    assert sizes[np.flatnonzero(tight)].sum() <= 8
    assert sum(tight) == pytest.approx(1)


def test_where_none_fits_the_smallest_is_taken():
    truth = np.zeros(10)
    members = [truth, truth + 1]
    assert greedy_weights(members, squared(truth), sizes=np.array([[9.0], [7.0]]), room=np.array([5.0])) == [0, 1]


def rows(target, kind="category"):
    schema = Schema((Column("x", "number"), Column("y", kind, "target")))
    return MemoryRows.of(schema, pa.table({"x": np.arange(float(len(target))), "y": pa.array(target)}))


def test_a_student_of_classes_sees_the_truth_and_what_the_teacher_holds_likely():
    data = rows(["a", "b", "c", "a"])
    answers = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.1, 0.2, 0.7]])
    taught = Lesson(np.array([0, 1, 2]), answers, ("a", "b", "c")).rows(data, "y")
    x, y, w = taught.batch(["x"])["x"], taught.table(["y"]).column(0).to_pylist(), taught.weights()
    assert len(taught) == len(y) == len(w)
    total = {place: w[x == place].sum() for place in range(4)}
    assert all(t == pytest.approx(1) for t in total.values())
    assert w[(x == 3)].tolist() == [1.0]
    assert sorted(v for v, place in zip(y, x, strict=True) if place == 0) == ["a", "a", "b"]
    problem = load("tasks", "classify").problem(rows(["a", "b", "c"] * 4), "y", "log_loss")
    assert load("tasks", "classify").encode(taught, problem).shape == (len(taught),)


def test_a_student_of_numbers_sees_a_mixture_within_the_range_of_the_truth():
    data = rows([1.0, 2.0, 3.0], "number")
    taught = Lesson(np.array([2, 0]), np.array([9.0, 1.5])).rows(data, "y")
    y = taught.batch(["y"])["y"]
    assert 1.0 < y[0] < 1.5
    assert y[1] == 2.0
    assert y[2] == 3.0


def test_views_stay_in_step_when_rows_are_picked():
    data = rows([1.0, 2.0, 3.0, 4.0], "number")
    view = WithWeights(WithTarget(data, "y", pa.array([10.0, 20.0, 30.0, 40.0])), np.array([1.0, 2.0, 3.0, 4.0]))
    picked = view.take(np.array([3, 1])).take(np.array([1]))
    assert picked.batch(["y"])["y"].tolist() == [20.0]
    assert picked.table(["y"]).column(0).to_pylist() == [20.0]
    assert picked.weights().tolist() == [2.0]
    assert picked.batch(["x"])["x"].tolist() == [1.0]


def test_the_logarithm_is_for_skewed_numbers_that_are_not_negative():
    rng = np.random.default_rng(0)
    skewed = np.exp(rng.normal(10, 1, 2_000))
    assert Logarithm.fitting(skewed) is not None
    assert Logarithm.fitting(rng.normal(100, 1, 2_000)) is None
    assert Logarithm.fitting(-skewed) is None
    assert Logarithm.fitting(np.append(skewed, -1.0)) is None
    assert Logarithm.fitting(np.concatenate([np.zeros(500), skewed])) is not None
    assert skewness(skewed * 1e300) == pytest.approx(skewness(skewed))
    assert skewness(skewed * 1e-300) == pytest.approx(skewness(skewed))


def test_the_factor_makes_answers_right_on_the_whole():
    rng = np.random.default_rng(1)
    truth = np.exp(rng.normal(0, 1, 50_000))
    log = Logarithm.fitting(truth)
    low = np.full(len(truth), np.exp(np.log(truth + log.offset).mean()) - log.offset)
    factor = log.right_factor(low, truth, np.ones(len(truth)))
    assert factor == pytest.approx(np.exp(0.5), rel=0.05)


def trial(predicted, seconds, used=1.0, folds=4, restarts=False):
    """A configuration whose fits on folds took so long each, and weigh 10 bytes each."""
    fits = [SimpleNamespace(seconds=seconds, bytes=10, facts={"used": used}) for _ in range(folds)]
    configuration = SimpleNamespace(key=str(seconds), learner=SimpleNamespace(restarts=restarts))
    return Trial(configuration, fits=fits, predicted=predicted, status="done")


@pytest.fixture
def pair():
    """The truth, and predictions of two that are best together."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    return truth, truth + rng.normal(size=500), truth + rng.normal(size=500)


def chosen(pair, quick, slow, seconds, most_bytes=1e6):
    truth, one, other = pair
    done = [trial(one, quick), trial(other, slow)]
    rules = Rules(threads=2, most_bytes=most_bytes, most_milliseconds=np.inf)
    return choose(done, np.arange(500), squared(truth), rules, None, seconds)


def test_all_are_fitted_once_more_where_there_is_time(pair):
    found = chosen(pair, 1.0, 1.0, seconds=10.0)
    assert all(found.small)
    assert not found.bagged
    assert found.small == found.full


def test_without_time_for_a_last_fit_those_on_folds_go_in(pair):
    found = chosen(pair, 1.0, 100.0, seconds=10.0)
    assert found.bagged == {1}
    assert found.small == pytest.approx(found.full)


def test_without_time_and_room_there_is_one_less(pair):
    found = chosen(pair, 1.0, 100.0, seconds=10.0, most_bytes=40.0)
    assert not found.bagged
    assert found.small == [1.0, 0.0]


def test_a_last_fit_ends_where_those_on_folds_were_best():
    assert trial(None, 10.0, used=0.25).again < 0.5 * trial(None, 10.0).again
    assert trial(None, 10.0).again > 10.0


def test_time_is_kept_for_those_alone_whose_folds_have_no_room(pair):
    truth, one, other = pair
    done = [trial(one, 5.0), trial(other, 1.0)]

    def kept(most_bytes):
        rules = Rules(threads=2, most_bytes=most_bytes, most_milliseconds=np.inf)
        return leaders(done, lambda p, rows: squared(truth[rows])(p), rules, lambda t: np.array([10.0, 0.0]))

    assert kept(1e6) == []
    assert kept(70.0) == [done[1]]
    assert kept(30.0) == done
