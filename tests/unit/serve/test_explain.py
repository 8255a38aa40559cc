"""`POST /v1/explain`: what each column adds, and why, without getting in the way of predictions."""

from __future__ import annotations

import asyncio
import threading

import pytest

from volant.core.records import Field, Pipeline, Signature, Step
from volant.serve.elsewhere import MOST_EXPLAINING
from volant.serve.explaining import MOST_ROWS

OLD, YOUNG = {"age": 70, "plan": "gold"}, {"age": 10, "plan": "basic"}


def explained(running, **body):
    answer = running.post("/v1/explain", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["explanations"]


def refused(running, status, **body):
    answer = running.post("/v1/explain", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


@pytest.mark.parametrize("method", ["shap", "lime"])
def test_contributions_add_up_to_the_answer_that_predict_gives(running, method):
    old, young = explained(running, rows=[OLD, YOUNG], method=method)
    predicted = running.predict(OLD, YOUNG)
    for one, answer in zip((old, young), predicted, strict=True):
        assert one["label"] == answer["label"]
        assert one["probability"] == pytest.approx(answer["probabilities"][one["label"]])
        total = one["base"] + sum(part["contribution"] for part in one["contributions"])
        assert total == pytest.approx(one["output"], rel=1e-6)
        assert one["output"] == pytest.approx(one["probability"])
    assert [part["column"] for part in old["contributions"]] == ["age", "plan"], "largest first"
    assert old["contributions"][0]["value"] == 70.0
    assert old["method"] == method
    assert old["how"] == {"shap": "exact", "lime": "surrogate"}[method]
    assert ("fit" in old) == (method == "lime")


def test_reasons_are_what_pushed_towards_the_answer_in_words(running):
    (one,) = explained(running, row=OLD)
    (reason,) = one["reasons"]
    assert reason["column"] == "age"
    assert reason["text"].startswith("age 70")
    assert reason["contribution"] > 0
    assert explained(running, row=OLD, reasons=0)[0]["reasons"] == []
    (other,) = explained(running, row=OLD, label="no")
    assert other["reasons"] == []
    assert other["probability"] == pytest.approx(1 - one["probability"])


def test_a_body_for_predict_is_a_body_for_explain_and_nothing_is_logged(running):
    (one,) = explained(running, row={**OLD, "plan": "iron", "churned": "yes"}, subject="anna")
    assert one["flags"] == {"plan": "unknown category"}
    assert "id" not in one
    assert running.service.journal.waiting == 0


def test_numbers_are_explained_with_their_value(start):
    signature = Signature("regress", "price", (Field("age", "number", True, 1.0),), (Field("value", "number"),))
    steps = (
        Step("float", ("age",), "number"),
        Step("impute", ("number",), "filled", {"fill": [2.0]}),
        Step("first", ("filled",), "value", {"scale": 3.0, "shift": 1.0}),
    )
    running = start(steps=Pipeline(steps, {"value": "value"}), contract=signature)
    (one,) = explained(running, row={"age": 10})
    assert (one["value"], one["base"], one["scale"]) == (31.0, 7.0, "value")
    assert one["contributions"] == [{"column": "age", "value": 10.0, "contribution": 24.0, "error": 0.0}]
    assert one["reasons"][0]["text"] == "age 10: +24"
    assert refused(running, 422, row={"age": 10}, label="yes")["code"] == "input-invalid"


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"method": "magic"}, "method"),
        ({"method": 3}, "method"),
        ({"label": 3}, "label"),
        ({"label": "maybe"}, "label"),
        ({"reasons": -1}, "reasons"),
        ({"reasons": True}, "reasons"),
        ({"why": 1}, "why"),
        ({"row": {"age": "old"}}, "row.age"),
    ],
)
def test_what_does_not_fit_is_named(running, more, where):
    told = refused(running, 422, **{"row": OLD, **more})
    assert [trouble["where"] for trouble in told["troubles"]] == [where]


def test_only_a_few_rows_at_once(running):
    assert len(explained(running, rows=[OLD] * MOST_ROWS)) == MOST_ROWS
    assert refused(running, 413, rows=[OLD] * (MOST_ROWS + 1))["code"] == "request-too-large"


def test_without_a_release_it_is_not_ready(empty):
    assert refused(empty, 503, row=OLD)["code"] == "not-ready"


def test_a_new_release_is_explained_by_itself(running):
    before = explained(running, row=OLD)
    digest = running.new_release(center=69.0)
    running.service.watch()
    answer = running.post("/v1/explain", json={"row": OLD}).json()
    assert answer["release"] == digest[:12]
    assert answer["explanations"] != before


def test_predictions_do_not_wait_for_explanations_and_too_many_are_refused(running):
    """While one explanation hangs, the queue fills, predictions are answered, and what comes beyond is refused."""
    go, begun = threading.Event(), threading.Event()

    def hang(slot, body):
        begun.set()
        assert go.wait(30)
        return b"{}", 1

    async def scenario():
        running.service.elsewhere._explaining.answer = hang
        waiting = [asyncio.ensure_future(running.ask("POST", "/v1/explain", json={"row": OLD})) for _ in range(20)]
        while not begun.is_set():
            await asyncio.sleep(0.01)
        predicted = await running.ask("POST", "/v1/predict", json={"row": OLD})
        go.set()
        return predicted.status_code, [(await one).status_code for one in waiting]

    status, others = asyncio.run(scenario())
    assert status == 200
    assert others.count(200) == 1 + MOST_EXPLAINING
    assert others.count(503) == 20 - 1 - MOST_EXPLAINING


def test_a_model_that_breaks_is_told_of_without_details(running, monkeypatch, caplog):
    slot = running.service.deck.champion

    def broken(*_):
        raise RuntimeError("secret 70")

    monkeypatch.setattr(type(slot.release), "predict", broken)
    told = refused(running, 500, row=OLD)
    assert told["code"] == "prediction-failed"
    assert "secret" not in caplog.text


def test_the_document_describes_the_answer(running):
    document = running.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    (one,) = explained(running, row={**OLD, "plan": "iron"}, method="lime")
    assert set(one) == set(schemas["Explanation"]["properties"])
    (plain,) = explained(running, row=OLD)
    assert set(plain) == set(schemas["Explanation"]["required"])
    example = document["paths"]["/v1/explain"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert running.post("/v1/explain", json=example).status_code == 200
    assert schemas["RowsToExplain"]["additionalProperties"] is False
