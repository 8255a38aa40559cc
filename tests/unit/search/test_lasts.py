"""Last fits: one of each member, and more of those that gain by it where time, units and limits have room."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.unit.search.test_search import search

from volant.core.plugins import load
from volant.search.lasts import COPIES, Spare, _Queue
from volant.search.trials import Trial


def boosted(tmp_path, budget, **rules):
    learners = {name: load("learners", name) for name in ("prior", "boosted_trees")}
    return search(tmp_path, budget, learners=learners, folder=f"{budget}{len(rules)}", **rules)


def lasts(found):
    return [m.fit.folder.name for m in found.members if "final" in m.fit.folder.name]


def test_units_that_are_left_make_more_last_fits_of_what_gains_by_them(tmp_path):
    run = boosted(tmp_path, "100 units")
    found = run.run()
    chosen = [t for t in found.trials if t.weight]
    assert len(lasts(found)) > len(chosen)
    assert len(set(lasts(found))) == len(lasts(found))
    assert sum(m.weight for m in found.members) == pytest.approx(1.0)
    assert run.spending.units <= 100
    data = run.data.take(np.arange(20))
    one, other = (m.fit.predict(data, "probability", 1) for m in found.members[:2])
    assert not np.array_equal(one, other), "they began at different seeds"


def test_more_last_fits_keep_to_what_a_release_may_weigh(tmp_path):
    plenty = boosted(tmp_path, "100 units").run()
    room = 1.5 * max(m.fit.bytes for m in plenty.members) / 0.8
    tight = boosted(tmp_path, "100 units", most_bytes=room).run()
    assert sum(m.fit.bytes for m in tight.members) <= room
    assert len(tight.members) < len(plenty.members)


def test_a_product_that_asks_for_one_model_gets_one(tmp_path):
    assert len(boosted(tmp_path, "100 units", ensemble=False).run().members) == 1


def queue(weights, room, left=100.0):
    """A queue of trials of such weights, where there is time for so many more fits."""
    trials = [
        Trial(
            SimpleNamespace(key=str(i), learner=SimpleNamespace(restarts=True)),
            fits=[SimpleNamespace(seconds=1.0, bytes=1, facts={})],
            weight=weight,
        )
        for i, weight in enumerate(weights)
    ]
    begun = []
    pace = SimpleNamespace(room=lambda units, seconds: units <= room)
    made = _Queue(trials, pace, Spare(np.full(2, left), {str(i): np.ones(2) for i in range(len(weights))}))
    while (following := made.next()) is not None:
        begun.append((int(following[0].configuration.key), following[1]))
    return begun


def test_every_member_is_fitted_before_any_is_fitted_again():
    assert queue([0.2, 0.8], room=3) == [(0, 0), (1, 0), (1, 1)]


def test_what_weighs_most_is_made_most_often_and_what_weighs_little_once():
    begun = [place for place, _ in queue([0.55, 0.35, 0.1], room=6)]
    assert [begun.count(place) for place in range(3)] == [3, 2, 1]


def test_nothing_is_made_more_often_than_helps_or_than_there_is_room():
    assert len(queue([1.0], room=50)) == COPIES
    assert len(queue([1.0], room=50, left=2.0)) == 3
