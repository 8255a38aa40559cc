"""Answers of a product whose segments have offsets of their own."""

import contextlib
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from volant.columns.number import Number
from volant.errors import BadInput
from volant.runtime.decisions import nameless
from volant.runtime.load import open_release
from volant.search import segments
from volant.serve.explaining import Explaining
from volant.serve.process import store_of
from volant.serve.reader import Table
from volant.serve.shadow import Shadow
from volant.serve.slot import load
from volant.store.records import DeploymentRow
from volant.wheel.handle import ProductHandle
from volant.wheel.new import new

CITIES = 12


def made(folder, personal):
    """A product whose cities differ, and whose learner is held back so much that it hardly sees them."""
    rng = np.random.default_rng(0)
    city, x = rng.integers(0, CITIES, 1500), rng.normal(size=1500).round(4)
    own = 2.0 * rng.normal(size=CITIES)
    yes = rng.random(1500) < 1 / (1 + np.exp(-x - own[city]))
    folder.mkdir()
    table = {"x": x, "city": [f"c{one}" for one in city], "y": ["yes" if one else "no" for one in yes]}
    pa.csv.write_csv(pa.table(table), folder / "rows.csv")
    new("cities", str(folder / "rows.csv"), "y", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    train = '[train]\nbudget = "5 units"\nthreads = 1\nlearners = ["linear"]\n'
    train += f'personal = "{personal}"\n' if personal else ""
    file.write_text(file.read_text() + train + "[train.options.linear]\nstrength = 0.002\n")
    return ProductHandle.at(folder / "product")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("personal")
    found = {name: made(folder / (name or "alike"), name) for name in ("city", "")}
    return {name: (handle, handle.train()) for name, handle in found.items()}


def test_answers_are_better_where_segments_differ(trained):
    judged = {name: {s.metric: s.value for s in result.judged} for name, (_, result) in trained.items()}
    assert judged["city"]["log_loss"] < 0.95 * judged[""]["log_loss"]


def test_the_release_adds_them_and_knows_what_to_do_with_strangers(trained):
    handle, result = trained["city"]
    release = open_release(handle.product.home / "candidates" / result.candidate)
    steps = json.loads((release.folder / "pipeline.json").read_bytes())["steps"]
    step = next(one for one in steps if one["op"] == "offset_by_group")
    assert len(step["params"]["values"]) == CITIES
    cities = np.array([*step["params"]["values"], "nowhere", None], dtype=object)
    answer = release.predict({"x": np.zeros(len(cities)), "city": cities})["probability"]
    assert answer.sum(axis=1) == pytest.approx(np.ones(len(cities)))
    assert np.ptp(answer[:CITIES, 1]) > 0.4
    assert answer[CITIES] == pytest.approx(answer[CITIES + 1], abs=0.05)


def test_a_column_that_is_no_category_is_refused_by_its_name(tmp_path):
    with pytest.raises(BadInput, match="categories") as bad:
        made(tmp_path / "p", "x").train()
    assert bad.value.troubles[0].where == "volant.toml, train.personal"


PEOPLE = 200


def made_of_people(folder, personal=True):
    """A product whose people differ, and are told by their subject alone."""
    rng = np.random.default_rng(0)
    person, x = rng.integers(0, PEOPLE, 3000), rng.normal(size=3000).round(4)
    own = 2.0 * rng.normal(size=PEOPLE)
    yes = rng.random(3000) < 1 / (1 + np.exp(-3 * x - own[person]))
    folder.mkdir()
    table = {"x": x, "who": [f"person-{one:03d}" for one in person], "y": ["yes" if one else "no" for one in yes]}
    pa.csv.write_csv(pa.table(table), folder / "rows.csv")
    new("people", str(folder / "rows.csv"), "y", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    train = '[data.split]\njudge = 0.3\n[columns.who]\ntype = "id"\nrole = "subject"\n'
    train += '[train]\nbudget = "5 units"\nthreads = 1\nlearners = ["linear"]\n'
    train += 'personal = "who"\n' if personal else ""
    file.write_text(file.read_text().split("[columns")[0] + train)
    return ProductHandle.at(folder / "product")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    handle = made_of_people(tmp_path_factory.mktemp("people") / "p")
    return handle, handle.train()


def personal_step(handle, digest):
    steps = json.loads((handle.product.home / "candidates" / digest / "pipeline.json").read_bytes())["steps"]
    return next(one for one in steps if one["op"] == "offset_by_group")["params"]


def test_people_have_offsets_and_no_release_names_them(people):
    handle, result = people
    assert result.promoted, result.verdict.reasons
    params = personal_step(handle, result.candidate)
    assert 20 < len(params["values"]) <= PEOPLE
    assert np.ptp(np.array(params["offsets"])[:, 1]) > 1.0
    folder = handle.product.home / "candidates" / result.candidate
    release = open_release(folder)
    assert not [path.name for path in folder.iterdir() if b"person-0" in path.read_bytes()]
    names = np.array([*(f"person-{i:03d}" for i in range(PEOPLE)), "stranger", None], dtype=object)
    answer = release.predict({"x": np.zeros(len(names)), "who": names})["probability"][:, 1]
    assert np.ptp(answer[:PEOPLE]) > 0.4
    assert answer[PEOPLE] == answer[PEOPLE + 1]


def test_the_subject_of_a_request_is_who_is_answered(people):
    handle, result = people
    slot = load(handle.product.home / "candidates" / result.candidate)
    table = Table([{"x": 0.0}, {"x": 0.0}], {"x": [0.0, 0.0], "who": [None, "person-001"]}, {}, ["person-002", None])
    told = slot.of_people(table)
    assert list(told.columns["who"]) == list(told.subjects) == ["person-002", "person-001"]


def test_a_subject_that_the_column_cannot_hold_is_answered_as_a_stranger(people, monkeypatch):
    handle, result = people
    slot = load(handle.product.home / "candidates" / result.candidate)
    monkeypatch.setitem(vars(slot), "_person_type", Number())
    told = slot.of_people(Table([{"x": 0.0}] * 2, {"x": [0.0] * 2, "who": [None] * 2}, {}, ["somebody", "17"]))
    assert list(told.columns["who"]) == [None, 17.0]
    assert list(told.subjects) == ["somebody", "17"]


def test_an_explanation_is_of_the_answer_that_the_subject_gets(people):
    handle, result = people
    slot = load(handle.product.home / "candidates" / result.candidate)
    explaining = Explaining(handle.product)

    def explained(**whose):
        row = {"x": 0.0, **whose.pop("row", {})}
        answer, _ = explaining.answer(slot, json.dumps({"row": row, "label": "yes", **whose}).encode())
        return json.loads(answer)["explanations"][0]["probability"]

    for name in (f"person-{i:03d}" for i in range(8)):
        assert explained(subject=name) == explained(row={"who": name})
    assert len({explained(subject=f"person-{i:03d}") for i in range(8)}) > 1


def test_a_shadow_answers_whoever_asks(people):
    handle, result = people
    product, slot = handle.product, load(handle.product.home / "candidates" / result.candidate)
    event = DeploymentRow(1, "2026-01-01T00:00:00+00:00", "shadow", result.candidate, None, "", 1)
    with store_of(product) as store, contextlib.closing(Shadow(product, store)) as shadow:
        told = [
            shadow._records(event, slot, ["id"], json.dumps({"row": {"x": 0.0}, "subject": name}).encode())[0].output
            for name in (f"person-{i:03d}" for i in range(8))
        ]
    assert len({str(one) for one in told}) > 1


def test_the_offset_of_whoever_is_erased_is_gone(people):
    handle, result = people
    before = personal_step(handle, result.candidate)
    hashed = {
        name: nameless(np.array([name]), before["salt"])[0] for name in (f"person-{i:03d}" for i in range(PEOPLE))
    }
    name = next(one for one, code in hashed.items() if code in before["values"])
    done = handle.operations.erase(name)
    assert done.complete, (done.left, done.found)
    assert done.outcome == "promoted"
    after = personal_step(handle, done.retrained)
    assert hashed[name] not in after["values"]
    assert len(set(after["values"]) & set(before["values"])) >= len(before["values"]) - 3


def test_a_release_holds_a_bounded_number_of_people(monkeypatch):
    monkeypatch.setattr(segments, "MOST_VALUES", 10)
    rng = np.random.default_rng(1)
    person = np.array([f"p{one}" for one in np.minimum(rng.geometric(0.05, 6000), 80)], dtype=object)
    own = {one: 2.0 * rng.normal() for one in np.unique(person)}
    yes = (rng.random(6000) < 1 / (1 + np.exp([-own[one] for one in person]))).astype(int)
    told = segments.Told(np.full((6000, 2), 0.5), yes, np.ones(6000), person, person)
    found = segments.learn_offsets(told, "who", "salt")
    assert len(found.values) == 10
    assert set(found.values) == set(nameless(np.array([name for name, _ in Counter(person).most_common(10)]), "salt"))
