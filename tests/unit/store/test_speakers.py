"""Who speaks: an actor together with the key of the service."""

import pytest

from volant.core.records import Feedback
from volant.errors import BadInput
from volant.evidence.trust import Trust
from volant.store import PredictionRecord, open_store
from volant.store.keys import Wanted


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path) as opened:
        log = opened.prediction_log()
        log.append([PredictionRecord(id="p", release="r", at="2026-01-01T00:00:00+00:00", input={}, output={})])
        log.close()
        yield opened


def key(store, name, **more):
    return store.create_api_key(Wanted(name, ("feedback",)), **more)[0].id


def say(store, actor, by, **more):
    return store.add_feedback([Feedback("p", "correction", "yes", actor, api_key=by, **more)])[0].id


def speakers(store):
    return store.feedback_table().column("actor").to_pylist()


def test_the_same_name_with_another_key_is_another_speaker(store):
    shop, plain = key(store, "shop"), key(store, "plain")
    for by in (shop, plain, None):
        say(store, "alice", by)
    assert speakers(store) == [f"alice@{shop}", f"alice@{plain}", "alice"]


def test_a_rotated_key_is_the_same_speaker(store):
    first = key(store, "shop")
    second = key(store, "shop", replaces=first)
    third = key(store, "shop", replaces=second)
    earlier = say(store, "alice", first)
    say(store, "alice", third, supersedes=earlier)
    assert set(speakers(store)) == {f"alice@{first}"}


def test_nobody_supersedes_what_was_said_with_another_key(store):
    shop, plain = key(store, "shop"), key(store, "plain")
    earlier = say(store, "alice", shop)
    with pytest.raises(BadInput, match="supersedes"):
        say(store, "alice", plain, supersedes=earlier)


def test_erasing_a_person_takes_their_trust_with_every_key(store):
    shop = key(store, "shop")
    earned = Trust(3.0, 1.0, 0.75, 0.4)
    store.set_trust({f"alice@{shop}": earned, "alice": earned, "alicea": earned})
    store.erase_rows("alice")
    assert [row.id for row in store.actors()] == ["alicea"]
