"""`POST /v1/feedback`: receipts, and what is refused."""

from __future__ import annotations

import pytest

from volant.store.keys import Wanted
from volant.testing import handmade

ROW = {"age": 70, "plan": "gold"}


@pytest.fixture
def answered(running):
    [answer] = running.predict(ROW)
    return answer["id"]


def item(prediction_id, **more):
    return {"prediction_id": prediction_id, "kind": "correction", "value": "no", **more}


def places(answer):
    return [trouble["where"] for trouble in answer.json()["troubles"]]


def test_feedback_is_on_disk_when_it_is_acknowledged(running, answered):
    answer = running.say(item(answered, actor="anna", event_at="2026-01-31T12:00:00Z"))
    assert answer.status_code == 200
    [receipt] = answer.json()["feedback"]
    [row] = running.store.feedback_rows()
    assert receipt == {"id": row.id, "duplicate": False}
    assert (row.prediction_id, row.kind, row.value, row.actor, row.source) == (
        answered,
        "correction",
        "no",
        "anna",
        "user",
    )


def test_a_rating_is_feedback_too(running, answered):
    assert running.say(item(answered, kind="rating", value="up")).status_code == 200


def test_a_correction_may_name_a_new_class(running, answered):
    assert running.say(item(answered, value="perhaps")).status_code == 200


def test_a_repeated_key_is_stored_once(running, answered):
    first = running.say(item(answered, idempotency_key="k1")).json()["feedback"]
    second = running.say(item(answered, idempotency_key="k1")).json()["feedback"]
    assert second == [{"id": first[0]["id"], "duplicate": True}]
    assert len(list(running.store.feedback_rows())) == 1


def test_an_actor_may_replace_what_was_said(running, answered):
    [first] = running.say(item(answered, actor="anna")).json()["feedback"]
    assert running.say(item(answered, actor="anna", value="yes", supersedes=first["id"])).status_code == 200
    [voice] = running.store.voices()
    assert (voice.value, voice.target) == ("yes", "churned")
    refused = running.say(item(answered, actor="bert", supersedes=first["id"]))
    assert refused.status_code == 422


def test_an_edit_holds_both_sides(running, answered):
    assert running.say(item(answered, kind="edit", value={"from": "yes", "to": "NO"})).status_code == 200
    [row] = running.store.feedback_rows()
    assert (row.kind, row.value) == ("edit", {"from": "yes", "to": "no"})
    refused = running.say(item(answered, kind="edit", value="no"))
    assert (refused.status_code, places(refused)) == (422, ["feedback[0].value"])


def test_what_is_taken_back_counts_no_more(running, answered):
    said = item(answered, actor="anna", idempotency_key="k1")
    [first] = running.say(said).json()["feedback"]
    assert running.say({**said, "valid": False}).json()["feedback"] == [{"id": first["id"], "duplicate": True}]
    assert [row.valid for row in running.store.feedback_rows()] == [False]
    running.say(said)  # a late repetition does not bring it back
    assert list(running.store.voices()) == []
    assert [row.action for row in running.store.audit_trail()][-1] == "feedback.withdraw"


def test_what_was_superseded_by_what_is_not_valid_is_taken_back(running, answered):
    [first] = running.say(item(answered, actor="anna")).json()["feedback"]
    away = item(answered, actor="anna", kind="comment", value="wrong button", supersedes=first["id"], valid=False)
    assert running.say({**away, "actor": "bert"}).status_code == 422
    assert running.say({**away, "valid": "no"}).status_code == 422
    assert running.say(away).status_code == 200
    assert list(running.store.voices()) == []
    assert [row.valid for row in running.store.feedback_rows()] == [False, False]


def test_strangers_are_one_actor_per_request(running, answered):
    running.say(item(answered), item(answered, kind="rating", value="down"))
    running.say(item(answered))
    actors = [row.actor for row in running.store.feedback_rows()]
    assert actors[0] == actors[1] != actors[2]
    assert all(actor.startswith("anon-") for actor in actors)


def test_an_unknown_prediction_is_a_404_and_nothing_is_stored(running, answered):
    answer = running.say(item(answered), item("01980000-0000-7000-8000-000000000000"))
    assert answer.status_code == 404
    assert answer.json()["code"] == "prediction-unknown"
    assert places(answer) == ["feedback[1].prediction_id"]
    assert list(running.store.feedback_rows()) == []


def test_every_wrong_field_is_named(running, answered):
    answer = running.say(
        item(answered, kind="correctoin"),
        item(answered, kind="rating", value="sideways"),
        {"prediction_id": answered, "kind": "rating"},
        item(7),
        item(answered, reason="x"),
        "no",
        item(""),
    )
    assert answer.status_code == 422
    assert places(answer) == [
        "feedback[0].kind",
        "feedback[1].value",
        "feedback[2].value",
        "feedback[3].prediction_id",
        "feedback[4].reason",
        "feedback[5]",
        "feedback[6].prediction_id",
    ]
    assert answer.json()["troubles"][0]["meant"] == "correction"
    assert list(running.store.feedback_rows()) == []


@pytest.mark.parametrize("name", ["event_at", "actor", "idempotency_key"])
def test_what_the_store_refuses_is_named_as_it_was_sent(running, answered, name):
    answer = running.say(item(answered), item(answered, **{name: "yesterday\x00"}))
    assert answer.status_code == 422
    assert places(answer) == [f"feedback[1].{name}"]


@pytest.mark.parametrize("body", [[], {}, {"feedback": {}}, {"feedback": []}, {"feedback": [], "more": 1}, "x"])
def test_a_body_of_another_shape_is_refused(running, body):
    answer = running.post("/v1/feedback", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "feedback-invalid"


def test_too_much_at_once_is_refused(start):
    running = start(handmade.FILE_TEXT + "[serve]\nmax_rows = 2\n")
    assert running.say(*[item("x")] * 3).status_code == 413


class TestKey:
    @pytest.fixture
    def locked(self, start, monkeypatch):
        monkeypatch.setenv("CHURN_KEY", "open sesame")
        return start(handmade.FILE_TEXT + '[serve]\nkey = "${CHURN_KEY}"\n')

    @pytest.fixture
    def asked(self, locked):
        master = {"authorization": "Bearer open sesame"}
        return locked.post("/v1/predict", json={"row": ROW}, headers=master).json()["predictions"][0]["id"]

    @pytest.mark.parametrize("given", [None, "", "open sesame", "Bearer open", "Basic open sesame", "Bearer"])
    def test_feedback_needs_the_key(self, locked, asked, given):
        headers = {} if given is None else {"authorization": given}
        refused = locked.say(item(asked), headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "sesame" not in refused.text
        assert list(locked.store.feedback_rows()) == []

    def test_the_key_opens(self, locked, asked):
        said = locked.say(item(asked, source="reviewer"), headers={"authorization": "Bearer open sesame"})
        assert said.status_code == 200
        assert [row.api_key for row in locked.store.feedback_rows()] == ["serve.key"]

    def test_only_reviewers_are_taken_for_reviewers(self, locked, asked):
        def headers(role):
            row, key = locked.store.create_api_key(Wanted(role, (role,)))
            locked.service.watch()
            return row.id, {"authorization": f"Bearer {key}"}

        id, user = headers("feedback")
        refused = locked.say(item(asked, source="reviewer"), headers=user)
        assert (refused.status_code, refused.json()["code"]) == (403, "key-forbidden")
        assert locked.say(item(asked), headers=user).status_code == 200
        assert locked.say(item(asked, source="reviewer"), headers=headers("review")[1]).status_code == 200
        assert [row.source for row in locked.store.feedback_rows()] == ["user", "reviewer"]
        assert next(row.api_key for row in locked.store.feedback_rows()) == id


def test_without_keys_nobody_is_taken_for_a_reviewer(running, answered):
    refused = running.say(item(answered, source="reviewer"))
    assert (refused.status_code, places(refused)) == (401, ["feedback.source"])
