"""Challengers that go on from the champion instead of being made anew."""

import shutil
from pathlib import Path

import pytest
from tests.e2e.test_wheel import answer, split_product

from volant.store import open_store
from volant.wheel.handle import ProductHandle

RULES = '[improve]\nlearning = "{way}"\nreplay = {replay}\n'


def candidates(handle):
    with open_store(handle.product.home) as store:
        return store.candidates()


def learning(folder: Path, way: str, *, replay: int = 10_000, name: str = "digits", unknown: str = "", more: str = ""):
    """A product of 250 rows with its first release, and the rows that come after."""
    handle, rows, labels = split_product(folder, 250, name, unknown=unknown)
    file = handle.product.folder / "volant.toml"
    text = file.read_text().replace("threads = 1\n", 'threads = 1\nlearners = ["linear"]\n')
    file.write_text(text + RULES.format(way=way, replay=replay) + more)
    handle = ProductHandle.at(handle.product.folder)
    handle.train(budget="4 units")
    return handle, rows, labels


@pytest.fixture(scope="module", params=["warm", "online"])
def started(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    handle, rows, labels = learning(folder, request.param, replay=100)
    answer(handle, rows[:900], labels[:900])
    shutil.copytree(handle.product.folder, folder / "again" / "product")
    shutil.copy(folder / "some.csv", folder / "again" / "some.csv")
    return request.param, handle, folder


def test_a_challenger_that_goes_on_from_the_champion_passes_the_gate_by_what_it_learned(started):
    way, handle, _ = started
    before = handle.status().champion
    turn = handle.improve(budget="4 units")
    assert turn.outcome == "promoted"
    assert candidates(handle)[-1].facts == {
        "learners": ["linear-" + turn.train.leaderboard[0].name[-6:]],
        "from": before,
        "way": way,
    }
    assert turn.train.verdict.comparisons[0].low > 0
    assert not turn.train.note


def test_going_on_gives_the_same_bytes_each_time(started):
    _, handle, folder = started
    again = ProductHandle.at(folder / "again" / "product")
    made = again.improve(budget="4 units").train.candidate
    assert made == candidates(handle)[-1].digest


def test_a_second_turn_goes_on_from_the_first(started):
    _, handle, folder = started
    (folder / "later").mkdir()
    _, rows, labels = split_product(folder / "later", 250, "digits")
    first = handle.status().champion
    answer(handle, rows[900:], labels[900:])
    handle.improve(budget="4 units")
    assert candidates(handle)[-1].facts["from"] == first


def test_a_new_class_is_learned_anew_and_that_is_said(tmp_path):
    handle, rows, labels = learning(tmp_path, "warm", unknown="3")
    answer(handle, rows[:900], labels[:900])
    turn = handle.improve(budget="4 units")
    assert "3" in turn.labels.new_classes
    assert turn.train.note == "made anew: the classes are others"
    assert "from" not in candidates(handle)[-1].facts


def test_what_goes_on_from_a_release_that_knew_a_person_is_erased_with_it(tmp_path):
    handle, rows, labels = learning(tmp_path, "warm")
    answer(handle, rows[:400], labels[:400], subjects=["person-8d41f"] * 5 + [f"other{i}" for i in range(395)])
    handle.improve(budget="4 units")
    answer(handle, rows[400:800], labels[400:800])
    second = handle.improve(budget="4 units").train.candidate
    with open_store(handle.product.home) as store:
        knew = [row for row in store.candidates() if row.facts.get("from")]
    assert len(knew) == 2
    done = handle.operations.erase("person-8d41f", budget="4 units")
    assert second in done.models
    assert done.outcome == "promoted", done.left
    assert done.complete, done.left
    assert "from" not in candidates(handle)[-1].facts
