"""`POST /v1/predict`: answers, their log, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from volant.core.records import Field, Pipeline, Signature, Step
from volant.serve.answering import audited
from volant.testing import handmade

OLD, YOUNG = {"age": 70, "plan": "gold"}, {"age": 10, "plan": "basic"}


def troubles(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    return {trouble.get("where"): trouble for trouble in answer.json()["troubles"]}


def test_rows_are_answered_in_their_order(running):
    answer = running.post("/v1/predict", json={"rows": [OLD, YOUNG]})
    champion = running.store.champion().release
    assert answer.status_code == 200
    assert answer.json()["release"] == champion[:12]
    assert answer.json()["contract"] == 1
    old, young = answer.json()["predictions"]
    assert (old["label"], young["label"]) == ("yes", "no")
    assert old["probabilities"]["yes"] == pytest.approx(1 - young["probabilities"]["yes"])
    assert set(old) == {"id", "label", "probabilities", "audit"}
    assert old["id"][14] == "7", "the id is a UUID of version 7"


def test_one_row_may_come_bare(running):
    answer = running.post("/v1/predict", json={"row": OLD})
    assert [one["label"] for one in answer.json()["predictions"]] == ["yes"]


def test_every_row_is_logged_before_it_is_answered(start):
    running = start(handmade.FILE_TEXT + '[quality]\nslices = ["plan"]\n')
    answers = running.predict(OLD, YOUNG, subject=["anna", "bert"])
    records = running.store.find_predictions([one["id"] for one in answers])
    record = records[answers[0]["id"]]
    assert record.input == OLD
    assert record.output == {"label": "yes", "probabilities": answers[0]["probabilities"]}
    assert record.release == running.store.champion().release
    assert record.deployment == running.store.champion().seq
    assert (record.policy, record.propensity) == ("champion", 1.0)
    assert record.slice_keys == {"plan": "gold"}
    assert record.audit == answers[0]["audit"]
    assert record.config_hash == running.product.config_hash
    assert record.latency_us > 0
    assert [records[one["id"]].subject for one in answers] == ["anna", "bert"]


def test_one_subject_stands_for_all_rows(running):
    answers = running.predict(OLD, YOUNG, subject="anna")
    found = running.store.find_predictions([one["id"] for one in answers])
    assert {record.subject for record in found.values()} == {"anna"}


def test_the_target_is_neither_used_nor_logged(running):
    [answer] = running.predict({**OLD, "churned": "no"})
    assert running.store.find_predictions([answer["id"]])[answer["id"]].input == OLD


def test_a_new_category_is_answered_and_flagged(running):
    [answer] = running.predict({"age": 70, "plan": "platinum"})
    assert answer["flags"] == {"plan": "unknown category"}


def test_a_new_category_is_refused_where_the_product_says_so(start):
    running = start(handmade.FILE_TEXT + '[serve]\nunknown_category = "refuse"\n')
    answer = running.post("/v1/predict", json={"rows": [OLD, {"age": 1, "plan": "platinum"}]})
    assert answer.status_code == 422
    assert troubles(answer)["rows[1].plan"]["choices"] == ["basic", "gold"]


def test_a_missing_value_is_answered_and_flagged(running):
    [answer] = running.predict({"age": None})
    assert answer["flags"] == {"age": "missing"}


def test_every_wrong_field_is_named(running):
    rows = [{"age": "old"}, {"plan": "gold"}, {"age": 3, "pln": "gold"}]
    answer = running.post("/v1/predict", json={"rows": rows[1:]})
    assert answer.status_code == 422
    assert set(troubles(answer)) == {"rows[0].age", "rows[1].pln"}
    assert troubles(answer)["rows[1].pln"]["meant"] == "plan"
    assert set(troubles(running.post("/v1/predict", json={"rows": rows[:1]}))) == {"rows[0].age"}


def test_a_bare_row_is_named_as_it_was_sent(running):
    assert set(troubles(running.post("/v1/predict", json={"row": {"age": "old"}}))) == {"row.age"}


def test_a_refusal_does_not_repeat_what_was_sent(running):
    answer = running.post("/v1/predict", json={"rows": [{"age": "my secret"}]})
    assert "my secret" not in answer.text


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([OLD], "body"),
        ({}, "rows"),
        ({"rows": [OLD], "row": OLD}, "rows"),
        ({"rows": OLD}, "rows"),
        ({"row": [OLD]}, "row"),
        ({"rows": [7]}, "rows[0]"),
        ({"rows": []}, "rows"),
        ({"rwos": [OLD]}, "rwos"),
        ({"rows": [OLD], "subject": 7}, "subject"),
        ({"rows": [OLD], "subject": ["a", "b"]}, "subject"),
        ({"rows": [OLD], "subject": ""}, "subject"),
        ({"rows": [OLD], "subject": "a\x00b"}, "subject"),
    ],
)
def test_a_body_of_another_shape_is_refused(running, body, where):
    answer = running.post("/v1/predict", json=body)
    assert answer.status_code == 422
    assert where in troubles(answer)
    assert running.store.counts()["predictions"] == 0


def test_too_many_rows_are_refused(start):
    running = start(handmade.FILE_TEXT + "[serve]\nmax_rows = 3\n")
    assert running.post("/v1/predict", json={"rows": [OLD] * 3}).status_code == 200
    answer = running.post("/v1/predict", json={"rows": [OLD] * 4})
    assert answer.status_code == 413
    assert troubles(answer)["rows"]["got"] == "4 rows"


def test_a_large_request_leaves_the_event_loop_and_is_answered_alike(running):
    traffic = running.service.deck.traffic
    slow = replace(traffic.champion, slot=replace(traffic.champion.slot, inline_bytes=0))
    running.service.deck.traffic = replace(traffic, champion=slow)
    answers = running.predict(*[OLD, YOUNG] * 500)
    assert [one["label"] for one in answers] == ["yes", "no"] * 500
    assert running.store.counts()["predictions"] == 1000


def test_numbers_are_answered_as_values(start):
    contract = Signature("regress", "price", (Field("area", "number", True, 80.0),), (Field("value", "number"),))
    steps = (Step("float", ("area",), "x"), Step("first", ("x",), "value", {"scale": 2.0, "shift": 5.0}))
    text = handmade.FILE_TEXT.replace("classify", "regress").replace("churned", "price")
    running = start(text, steps=Pipeline(steps, {"value": "value"}), contract=contract)
    [answer] = running.predict({"area": 100})
    assert answer["value"] == pytest.approx(205.0)
    assert set(answer) == {"id", "value", "audit"}


def test_numbers_are_answered_with_their_interval(start):
    outputs = tuple(Field(name, "number") for name in ("value", "low", "high"))
    contract = Signature("regress", "price", (Field("area", "number", True, 80.0),), outputs)
    end = {"factor": 0.0, "column": 0, "exponential": False}
    steps = (
        Step("float", ("area",), "x"),
        Step("first", ("x",), "value"),
        Step("interval_end", ("value",), "low", {**end, "side": "low", "shift": -7.0}),
        Step("interval_end", ("value",), "high", {**end, "side": "high", "shift": 3.0}),
    )
    text = handmade.FILE_TEXT.replace("classify", "regress").replace("churned", "price")
    text = text.replace("[task]", "[task]\ninterval = 0.8")
    running = start(text, steps=Pipeline(steps, {"value": "value", "low": "low", "high": "high"}), contract=contract)
    [answer] = running.predict({"area": 100})
    assert (answer["value"], answer["low"], answer["high"]) == (100.0, 93.0, 103.0)
    described = running.get("/openapi.json").json()["components"]["schemas"]["Prediction"]
    assert {"value", "low", "high"} <= set(described["required"])
    said = {"prediction_id": answer["id"], "kind": "correction", "value": 95.5}
    assert running.say(said).status_code == 200


def not_a_number():
    steps = (Step("float", ("age",), "x"), Step("first", ("x",), "value"))
    contract = Signature("regress", "price", (Field("age", "number", False, 1.0),), (Field("value", "number"),))
    return Pipeline(steps, {"value": "value"}), contract


def test_an_answer_that_is_not_a_number_is_logged_and_not_sent(start):
    steps, contract = not_a_number()
    text = handmade.FILE_TEXT.replace("classify", "regress").replace("churned", "price")
    running = start(text, steps=steps, contract=contract)
    answer = running.post("/v1/predict", json={"rows": [{"age": None}]})
    assert answer.status_code == 500
    assert answer.json()["code"] == "prediction-failed"
    assert running.store.counts()["predictions"] == 1


def test_a_model_that_fails_is_a_500_without_its_words(running, monkeypatch):
    def fails(batch, call=None):
        raise RuntimeError("cell 4711 of anna")

    monkeypatch.setattr(running.service.deck.champion.release.runner, "predict", fails)
    answer = running.post("/v1/predict", json={"rows": [OLD]})
    assert answer.status_code == 500
    assert "4711" not in answer.text
    assert running.store.counts()["predictions"] == 1


def test_the_audit_share_depends_on_the_id_alone():
    ids = [f"id-{i}" for i in range(20_000)]
    drawn = audited(ids, 0.1)
    assert drawn == audited(ids, 0.1)
    assert sum(drawn) / len(ids) == pytest.approx(0.1, abs=0.01)
    assert not any(audited(ids, 0.0))
    assert all(audited(ids, 1.0))
    assert all(wide for wide, narrow in zip(audited(ids, 0.2), drawn, strict=True) if narrow)


def test_answers_survive_what_json_cannot_say_twice(running):
    body = msgspec.json.encode({"rows": [{"age": 40, "plan": 'a:{b}"c\\'}]})
    answer = running.post("/v1/predict", content=body, headers={"content-type": "application/json; charset=UTF-8"})
    assert answer.status_code == 200
