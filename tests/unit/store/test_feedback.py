from __future__ import annotations

import dataclasses

import pytest

from volant.core.records import Feedback
from volant.errors import BadInput
from volant.store import Receipt, open_store
from volant.store.validity import Which


def say(record, value="no", actor="ann", kind="correction", **values):
    return Feedback(record.id, kind, value, actor, **values)


def test_feedback_on_a_prediction_that_is_not_indexed(store, logged):
    receipts = store.add_feedback([say(logged[0]), say(logged[1], {"x": [1, None, "é"]})])
    assert [r.duplicate for r in receipts] == [False, False]
    assert receipts[0].seq < receipts[1].seq
    rows = list(store.feedback_rows())
    assert [(r.seq, r.id) for r in rows] == [(r.seq, r.id) for r in receipts]
    assert rows[1].value == {"x": [1, None, "é"]}
    assert rows[0].valid
    assert rows[0].received_at == "2026-01-01T00:00:00.000000+00:00"


def test_an_unknown_prediction_stores_nothing_and_is_named(store, logged):
    with pytest.raises(BadInput) as caught:
        store.add_feedback([say(logged[0]), Feedback("nobody", "rating", "up", "ann")])
    assert caught.value.code == "prediction-unknown"
    [trouble] = caught.value.troubles
    assert (trouble.where, trouble.got) == ("items[1].prediction_id", "nobody")
    assert store.counts()["feedback"] == 0


def test_a_replay_gets_the_first_receipt(store, logged):
    items = [say(logged[0], idempotency_key="k1"), say(logged[1], idempotency_key="k2")]
    first = store.add_feedback(items)
    again = store.add_feedback([*items, say(logged[2], idempotency_key="k3")])
    assert again[:2] == [dataclasses.replace(receipt, duplicate=True) for receipt in first]
    assert not again[2].duplicate
    assert store.counts()["feedback"] == 3


def test_a_replay_within_one_call(store, logged):
    first, second, other = store.add_feedback(
        [
            say(logged[0], idempotency_key="k"),
            say(logged[0], idempotency_key="k"),
            say(logged[0], idempotency_key="k", source="form"),
        ]
    )
    assert second == Receipt(first.seq, first.id, duplicate=True)
    assert other.id != first.id
    assert store.counts()["feedback"] == 2


@pytest.mark.parametrize("other", [{"value": "yes"}, {"actor": "bob"}])
def test_a_key_that_came_with_another_word_or_from_another_actor_is_no_replay(store, logged, other):
    item = say(logged[0], idempotency_key="k")
    store.add_feedback([item])
    with pytest.raises(BadInput) as caught:
        store.add_feedback([dataclasses.replace(item, **other)])
    assert caught.value.code == "feedback-invalid"
    assert caught.value.troubles[0].where == "items[0].idempotency_key"
    assert store.counts()["feedback"] == 1


def test_a_stranger_who_repeats_is_one(store, logged):
    item = say(logged[0], idempotency_key="k", actor="anon-1")
    store.add_feedback([item])
    assert store.add_feedback([dataclasses.replace(item, actor="anon-2")])[0].duplicate


def test_without_a_key_the_same_words_are_two_rows_and_one_voice(store, logged):
    store.add_feedback([say(logged[0]), say(logged[0])])
    assert store.counts()["feedback"] == 2
    assert len(list(store.voices())) == 1


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"kind": ""}, "kind"),
        ({"actor": None}, "actor"),
        ({"actor": "x" * 2000}, "actor"),
        ({"actor": "a\x00b"}, "actor"),
        ({"source": "\ud800"}, "source"),
        ({"prediction_id": 3}, "prediction_id"),
        ({"idempotency_key": 3}, "idempotency_key"),
        ({"value": float("nan")}, "value"),
        ({"value": object()}, "value"),
        ({"event_at": "yesterday"}, "event_at"),
        ({"event_at": "0001-01-01T00:00:00+14:00"}, "event_at"),
        ({"event_at": "9998-01-01T00:00:00Z"}, "event_at"),
    ],
)
def test_what_is_not_well_formed_is_named(sqlite_store, predict, change, where):
    [record] = predict()
    sqlite_store.prediction_log().append([record])
    bad = dataclasses.replace(say(record), **change)
    with pytest.raises(BadInput) as caught:
        sqlite_store.add_feedback([say(record), bad])
    assert caught.value.code == "feedback-invalid"
    assert caught.value.troubles[0].where == f"items[1].{where}"
    assert sqlite_store.counts()["feedback"] == 0


def test_times_are_kept_in_utc(store, logged):
    store.add_feedback([say(logged[0], event_at="2026-01-01T02:00:00+02:00")])
    [voice] = store.voices()
    assert voice.event_at == "2026-01-01T00:00:00.000000+00:00"


def test_a_voice_is_joined_with_its_prediction(store, logged):
    store.add_feedback([say(logged[0], target="label")])
    [voice] = store.voices()
    assert voice.prediction == logged[0]
    assert (voice.kind, voice.value, voice.actor, voice.source, voice.target) == (
        "correction",
        "no",
        "ann",
        "user",
        "label",
    )


def test_the_latest_row_speaks_for_its_actor(store, logged):
    store.add_feedback([say(logged[0], "a"), say(logged[0], "b", actor="bob"), say(logged[0], "c")])
    assert [(v.actor, v.value) for v in store.voices()] == [("bob", "b"), ("ann", "c")]


def test_withdrawing_gives_the_word_back(store, logged):
    _, second = store.add_feedback([say(logged[0], "a"), say(logged[0], "b")])
    store.mark_feedback([second.id], valid=False)
    assert [v.value for v in store.voices()] == ["a"]
    assert [r.valid for r in store.feedback_rows()] == [True, False]
    with pytest.raises(BadInput):
        store.mark_feedback(["unknown"], valid=False)


def test_superseding_reaches_across_kinds(store, logged):
    [first] = store.add_feedback([say(logged[0], "up", kind="rating")])
    [heir] = store.add_feedback([say(logged[0], "no", supersedes=first.id)])
    assert [v.kind for v in store.voices()] == ["correction"]
    store.mark_feedback([heir.id], valid=False)
    assert [v.kind for v in store.voices()] == ["rating"]


def test_nobody_supersedes_what_another_said(store, logged):
    [first] = store.add_feedback([say(logged[0])])
    for item in (say(logged[0], actor="eve", supersedes=first.id), say(logged[1], supersedes=first.id)):
        with pytest.raises(BadInput) as caught:
            store.add_feedback([item])
        assert caught.value.troubles[0].where == "items[0].supersedes"
    assert store.counts()["feedback"] == 1


def test_reading_on_from_a_sequence_number(store, logged):
    first, *_ = store.add_feedback([say(record) for record in logged])
    assert len(list(store.voices(first.seq))) == len(logged) - 1
    assert len(list(store.feedback_rows(first.seq))) == len(logged) - 1


def test_the_export_is_plain_data(store, logged):
    store.add_feedback([say(logged[0], idempotency_key="k")])
    [row] = store.export_feedback()
    assert {f.name for f in dataclasses.fields(Feedback)} <= set(row)


def test_voices_come_from_one_state_while_others_write(store, logged, tmp_path, store_url):
    store.add_feedback([say(record, "old") for record in logged])
    voices = store.voices()
    first = next(voices)
    with open_store(tmp_path / ".volant", store_url) as other:
        other.add_feedback([say(record, "new") for record in logged])
    assert [v.value for v in (first, *voices)] == ["old"] * len(logged)
    assert [v.value for v in store.voices()] == ["new"] * len(logged)


def test_numbers_are_never_given_twice(sqlite_store, predict):
    record = predict()[0]
    sqlite_store.prediction_log().append([record])
    [receipt] = sqlite_store.add_feedback([say(record)])
    with sqlite_store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM feedback")
    [following] = sqlite_store.add_feedback([say(record)])
    assert following.seq > receipt.seq


def test_large_submissions_pass_the_limits_of_statements(store, predict):
    records = predict(1500)
    store.prediction_log().append(records)
    items = [say(record, idempotency_key=str(i)) for i, record in enumerate(records)]
    first = store.add_feedback(items)
    assert [r.seq for r in store.add_feedback(items)] == [r.seq for r in first] == sorted(r.seq for r in first)


def test_nothing_of_an_actor_who_was_erased_comes_back(store, logged):
    store.add_feedback([say(logged[0], idempotency_key="k")])
    store.bury("ann")
    store.erase_rows("ann")
    for item in (say(logged[1]), say(logged[0], idempotency_key="k")):
        with pytest.raises(BadInput) as caught:
            store.add_feedback([say(logged[0], actor="bob"), item])
        assert caught.value.code == "feedback-invalid"
        assert [trouble.where for trouble in caught.value.troubles] == ["items[1].actor"]
    assert store.counts()["feedback"] == 0
    assert store.add_feedback([say(logged[0], actor="bob")])


def test_nobody_takes_back_what_came_with_another_key(store, logged):
    store.add_feedback([say(logged[0], idempotency_key="k", api_key="one")])
    for by in ("two", None):
        with pytest.raises(BadInput):
            store.add_feedback([say(logged[0], idempotency_key="k", api_key=by, valid=False)])
    assert [row.valid for row in store.feedback_rows()] == [True]
    store.add_feedback([say(logged[0], idempotency_key="k", api_key="one", valid=False)])
    assert [row.valid for row in store.feedback_rows()] == [False]


def test_a_reviewer_takes_back_what_anybody_said(store, logged):
    [first] = store.add_feedback([say(logged[0], actor="eve")])
    word = {"supersedes": first.id, "source": "reviewer", "kind": "comment"}
    with pytest.raises(BadInput):
        store.add_feedback([say(logged[1], "another row", actor="rita", valid=False, **word)])
    with pytest.raises(BadInput):
        store.add_feedback([say(logged[0], "no more than anybody", actor="rita", **word)])
    store.add_feedback([say(logged[0], "a joke", actor="rita", valid=False, **word)])
    assert list(store.voices()) == []


def test_all_that_an_actor_said_is_withdrawn_and_restored(store, logged):
    store.add_feedback([say(logged[0], actor="bot"), say(logged[1], actor="bot"), say(logged[1], actor="ann")])
    ids = [row.id for row in store.find_feedback(Which(actor="bot"))]
    assert store.mark_feedback(ids, valid=False, reason="a script") == 2
    assert store.mark_feedback(ids, valid=False) == 0
    assert [voice.actor for voice in store.voices()] == ["ann"]
    assert store.feedback_table().column("actor").to_pylist() == ["ann"]
    assert store.mark_feedback(ids[:1], valid=True) == 1
    assert len(list(store.voices())) == 2
    told = [(row.action, row.facts["rows"]) for row in store.audit_trail()]
    assert told == [("feedback.withdraw", 2), ("feedback.restore", 1)]
    assert "bot" not in str([row.facts for row in store.audit_trail()]), "the trail outlives the erasure of an actor"
