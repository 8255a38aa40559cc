"""A person goes from everything, nothing of others moves, and what serves is what would have been without them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from tests.tables import rows

from volant.core.records import Feedback
from volant.evidence.trust import Trust
from volant.store import PredictionRecord, open_store
from volant.testing.served import served
from volant.testing.simulate import Service
from volant.wheel.collect import collect
from volant.wheel.context import work_on
from volant.wheel.erase import places_of
from volant.wheel.handle import ProductHandle
from volant.wheel.new import new

PERSON = "person-to-be-forgotten"
CANARY = "canary-8d41f"
FILE = """
[columns.who]
type = "id"
role = "subject"
[train]
budget = "2 units"
threads = 1
learners = ["boosted_trees"]
"""


def make(folder, *, with_person):
    """A product with, or without, twelve rows of a person whose every text is a canary."""
    folder.mkdir(parents=True)
    table = rows(700, seed=1)
    who = pa.array([f"somebody-{i // 4}" for i in range(len(table))])
    table = table.append_column("who", who)
    own = table.slice(100, 12)
    own = own.set_column(own.column_names.index("who"), "who", pa.array([PERSON] * 12))
    own = own.set_column(own.column_names.index("shape"), "shape", pa.array([f"{CANARY}-{i % 2}" for i in range(12)]))
    whole = pa.concat_tables([table.slice(0, 300), own, table.slice(300)]) if with_person else table
    pa.csv.write_csv(whole, folder / "rows.csv")
    new("people", str(folder / "rows.csv"), "label", folder=folder / "product")
    file = folder / "product" / "volant.toml"
    text = file.read_text()
    text = text.split("[columns")[0] if "[columns" in text else text
    file.write_text(text + FILE)
    return ProductHandle.at(folder / "product")


def talk(handle):
    """The person uses the service and says something; so does somebody else."""
    with open_store(handle.product.home) as store:
        release, log = store.champion().release, store.prediction_log()
        for i, who in enumerate([PERSON] * 5 + ["somebody-1"] * 5):
            told = {"size": i / 10, "shape": CANARY if who == PERSON else "s1", "open": True}
            output = {"label": "no", "probabilities": {"no": 0.7, "yes": 0.3}}
            at = "2026-01-01T00:00:00.000000+00:00"
            log.append([PredictionRecord(id=f"p{i}", release=release, at=at, input=told, output=output, subject=who)])
        log.close()
        store.add_feedback([Feedback(f"p{i}", "correction", "yes", PERSON, rationale=CANARY) for i in range(7)])
        store.ask([{"prediction_id": f"p{i}", "why": "by chance", "score": 0.0, "propensity": 0.1} for i in (0, 9)])
        store.set_trust({PERSON: Trust(3.0, 1.0, 0.75, 0.4), "somebody-1": Trust(2.0, 1.0, 0.67, 0.3)}, ())


def sides(handle):
    with work_on(handle.product) as context:
        dataset = collect(context)
        return dict(zip(dataset.keys().tolist(), dataset.sides().tolist(), strict=True))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    root = tmp_path_factory.mktemp("erasure")
    known, never = make(root / "known", with_person=True), make(root / "never", with_person=False)
    known.train()
    never.train()
    talk(known)
    return known, never


def test_a_person_who_is_erased_was_never_there(pair):
    known, never = pair
    before = sides(known)
    shown = known.operations.subject(PERSON)
    assert len(shown.rows) == 12
    assert len(shown.predictions) == 5
    assert len(shown.feedback) == 7
    assert len(shown.models) == 1
    assert [one["prediction_id"] for one in shown.questions] == ["p0"]
    assert [(one["id"], one["alpha"]) for one in shown.trust] == [(PERSON, 3.0)]
    assert places_of(known.product.home, CANARY)
    done = known.operations.erase(PERSON)
    assert done.complete, done.left
    assert done.rows["prediction"] == 5
    assert done.rows["feedback"] == 7
    assert not places_of(known.product.home, PERSON)
    assert not places_of(known.product.home, CANARY)
    assert known.status().champion == never.status().champion
    after = sides(known)
    assert after == {key: side for key, side in before.items() if key != PERSON}
    assert after == sides(never)
    proof = json.loads(done.report.read_text())
    assert proof["complete"]
    assert PERSON not in done.report.read_text()
    left = known.operations.subject(PERSON)
    assert not (left.rows)
    assert not (left.predictions)
    assert not (left.feedback)
    assert not (left.models)


def test_a_running_service_lets_go_of_a_person(pair):
    """What it has logged goes while it runs, and it goes on answering."""
    _, never = pair
    name = "somebody-who-uses-the-service"
    with served(never.product.folder, "--workers", "1") as running:
        service = Service(running.url)
        row = {"size": 0.5, "shape": "s1", "open": True, "made": None}
        service.call("POST", "/v1/predict", {"rows": [row], "subject": name})
        done = never.operations.erase(name)
        assert done.complete, (done.left, done.found)
        assert done.rows["prediction"] == 1
        assert len(service.predict([row])) == 1
        assert not places_of(never.product.home, name)


def test_what_comes_of_them_later_is_not_taken(pair):
    known, _ = pair
    known.operations.erase(PERSON)
    talk_again = np.arange(3)
    with open_store(known.product.home) as store:
        log = store.prediction_log()
        for i in talk_again.tolist():
            told = {"id": f"later{i}", "release": store.champion().release, "subject": PERSON}
            output = {"label": "no", "probabilities": {"no": 0.7, "yes": 0.3}}
            record = PredictionRecord(**told, at="2026-02-01T00:00:00.000000+00:00", input={"size": 1.0}, output=output)
            log.append([record])
        log.close()
        store.add_feedback([Feedback(f"later{i}", "correction", "yes", "ann") for i in talk_again.tolist()])
    with work_on(known.product) as context:
        from volant.wheel.learn import assemble

        view = assemble(context).view
        heard = [] if view is None else [one.prediction_id for one in view.decisions]
    assert not [name for name in heard if name.startswith("later")]
    assert PERSON not in sides(known)


def test_erasing_somebody_unknown_changes_nothing_that_serves(pair):
    known, _ = pair
    champion = known.status().champion
    done = known.operations.erase("nobody-at-all")
    assert done.complete
    assert done.outcome is None
    assert known.status().champion == champion
