"""Turns of the wheel where rows carry several labels: a table, and pictures."""

from __future__ import annotations

import base64
import io
import json

import httpx
import numpy as np
import pyarrow.csv
import pytest
from tests.tagged import LABELS, painted, pictures_of_things, table_of_things, things

from volant.data.dataset import open_dataset
from volant.runtime.load import open_release
from volant.testing.served import served
from volant.wheel.context import work_on


def said(ids, carried, actors=7):
    kinds = ({"kind": "correction", "value": names} for names in carried)
    named = zip(ids, kinds, strict=True)
    return [{"prediction_id": id, "actor": f"user{i % actors}", **kind} for i, (id, kind) in enumerate(named)]


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """A product that was trained, served, told the truth in each way, and improved."""
    handle = table_of_things(tmp_path_factory.mktemp("things"), 240)
    first = handle.train()
    rows, carried = things(300, seed=1)
    with served(handle.product.folder) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        schema = client.get("/openapi.json").json()["components"]["schemas"]
        found = client.post("/v1/predict", json={"rows": rows})
        assert found.status_code == 200, found.text
        answers = found.json()["predictions"]
        ids = [one["id"] for one in answers]
        told = said(ids[:250], carried[:250])
        for id, names in zip(ids[250:], carried[250:], strict=True):  # of these only two labels are settled
            for name in ("big", "red"):
                one = {"prediction_id": id, "kind": "presence", "value": {name: name in names}, "actor": "user1"}
                told.append(one)
        assert client.post("/v1/feedback", json={"feedback": told}).status_code == 200
        wrong = {"prediction_id": ids[0], "kind": "presence", "value": ["big"]}
        refused = client.post("/v1/feedback", json={"feedback": [wrong]})
        why = client.post("/v1/explain", json={"rows": rows[:1], "label": "red"}).json()
    watched = handle.operations.watch()
    handle.operations.answer(ids[299], '{"round": true}', actor="expert")
    seen = {"rows": rows, "carried": carried, "answers": answers, "watched": watched}
    return handle, first, handle.improve(), {**seen, "schema": schema, "refused": refused, "why": why}


def test_the_first_release_is_better_than_the_frequencies(turned):
    _, first, _, _ = turned
    assert first.promoted
    scores = {score.metric: score.value for score in first.judged}
    assert set(scores) == {"log_loss", "macro_f1", "average_precision", "exact_match"}
    assert scores["macro_f1"] > 0.6


def test_answers_hold_labels_and_the_probability_of_each(turned):
    answers, carried = turned[3]["answers"], turned[3]["carried"]
    for one in answers:
        assert tuple(one["probabilities"]) == LABELS
        assert all(0.0 <= p <= 1.0 for p in one["probabilities"].values())
        assert one["labels"] == [name for name in LABELS if name in one["labels"]]
    assert len({tuple(one["labels"]) for one in answers}) > 3
    cells = [
        (name in one["labels"]) == (name in names)
        for one, names in zip(answers, carried, strict=True)
        for name in LABELS
    ]
    assert np.mean(cells) > 0.8
    assert turned[3]["schema"]["Prediction"]["properties"]["labels"]["items"]["enum"] == list(LABELS)


def test_what_was_said_becomes_rows_and_what_was_not_stays_open(turned):
    handle, _, turn, _ = turned
    assert turn.labels.evidence == 250 + 2 * 50 + 1
    assert turn.labels.accepted + turn.labels.judged > 240
    dataset = open_dataset(handle.product.home / "datasets" / turn.train.dataset)
    taught = dataset.take(np.flatnonzero([bool(one) for one in dataset.references()]))
    cells = [json.loads(cell) for cell in taught.table(["labels"]).column(0).to_pylist()]
    partial = [cell for cell in cells if isinstance(cell, dict)]
    assert partial
    assert sum(isinstance(cell, list) for cell in cells) > 150
    assert max(len(cell) for cell in partial) <= 3
    problem = handle_problem(handle, dataset)
    y = handle_task().encode(taught, problem)
    assert set(np.unique(y)) == {-1, 0, 1}


def test_the_wheel_turns(turned):
    _, first, turn, _ = turned
    assert turn.outcome in ("promoted", "refused")
    assert turn.train.verdict.comparisons[0].n > 80
    assert turn.train.verdict.comparisons[0].challenger < first.judged[0].value * 1.5


def test_labels_of_traffic_are_watched_beside_those_that_were_learned(turned):
    moved = {(one.what, one.name): one for one in turned[3]["watched"].moved}
    assert {("label", "labels"), ("output", "labels"), ("input", "kind")} <= set(moved)
    told = moved["label", "labels"]
    assert 200 < told.rows <= 250, "rows of which some labels are open say nothing"
    assert not told.alarm


def test_a_reviewer_may_speak_of_one_label_alone(turned):
    handle, _, _, said = turned
    with work_on(handle.product) as context:
        told = [one for one in context.store.feedback_rows() if one.actor == "expert"]
    assert [(one.prediction_id, one.kind, one.value) for one in told] == [
        (said["answers"][299]["id"], "presence", {"round": True})
    ]


def test_feedback_of_the_wrong_form_is_refused_with_the_fix(turned):
    refused = turned[3]["refused"]
    assert refused.status_code == 422
    assert refused.json()["troubles"][0]["fix"] == 'send {"cat": true}'


def test_one_label_is_explained(turned):
    [one] = turned[3]["why"]["explanations"]
    assert one["label"] == "red"
    assert one["reasons"]


def test_the_report_shows_each_label(turned):
    text = turned[0].report().read_text()
    assert "Label by label" in text
    assert all(name in text for name in LABELS)


def test_a_file_is_answered(turned, tmp_path):
    handle = turned[0]
    rows, _ = things(5, seed=3)
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    handle.predict(tmp_path / "rows.jsonl", tmp_path / "out.csv")
    found = pyarrow.csv.read_csv(tmp_path / "out.csv")
    assert found.column_names == ["labels", *(f"probability_{name}" for name in LABELS)]


def handle_task():
    from volant.core.plugins import load

    return load("tasks", "tag")


def handle_problem(handle, dataset):
    return handle_task().problem(dataset.part("train"), "labels")


def test_pictures_carry_several_labels_without_torch(tmp_path):
    handle = pictures_of_things(tmp_path, 160, '["image_features"]')
    first = handle.train()
    scores = {score.metric: score.value for score in first.judged}
    assert first.promoted
    assert scores["macro_f1"] > 0.6
    release = open_release(handle.product.home / "candidates" / first.candidate)
    assert release.signature.labels == LABELS
    assert {step.op for step in release.runner.pipeline.steps} >= {"sigmoid", "mark"}
    file = io.BytesIO()
    painted(["red", "big"], np.random.default_rng(5)).save(file, "PNG")
    png = file.getvalue()
    with served(handle.product.folder) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        answers = [
            client.post("/v1/predict", json={"rows": [{"picture": base64.b64encode(png).decode()}]}),
            client.post("/v1/predict", files=[("picture", ("red.png", png, "image/png"))]),
            client.post("/v1/predict", content=png, headers={"content-type": "image/png"}),
        ]
    assert [one.status_code for one in answers] == [200] * 3
    [said, *others] = [one.json()["predictions"][0] for one in answers]
    assert "red" in said["labels"]
    assert all(one["probabilities"] == said["probabilities"] for one in others), "however it was sent"


def test_a_network_learns_several_labels_at_once_and_is_made_smaller(tmp_path):
    pytest.importorskip("torch")
    handle = pictures_of_things(tmp_path, 160, '["convnet"]')
    first = handle.train(budget="2 units")
    assert first.promoted
    assert {score.metric: score.value for score in first.judged}["macro_f1"] > 0.9, "it is the network that answers"
    release = open_release(handle.product.home / "candidates" / first.candidate)
    assert release.signature.labels == LABELS
    found = handle.compress(epochs=0.5, only=("int8", "pruned 50%", "2:4"))
    by_name = {one.name: one for one in found.table}
    assert list(by_name) == ["as it is", "int8", "pruned 50%", "2:4"]
    whole = by_name["as it is"]
    assert by_name["int8"].size_bytes < whole.size_bytes
    assert by_name["pruned 50%"].size_bytes < 0.6 * whole.size_bytes
    assert all(0.0 <= one.same <= 1.0 and np.isfinite(one.difference).all() for one in found.table)
    assert by_name["int8"].same > 0.8, "answered alike in all labels"
    if found.verdict is not None and found.verdict.passed:
        smaller = open_release(handle.product.home / "candidates" / found.candidate)
        assert smaller.signature.labels == LABELS
        assert handle.status().champion == found.candidate
        assert json.loads((smaller.folder / "evaluation.json").read_bytes())["speed"]["size_bytes"] < whole.size_bytes
        assert found.candidate in (smaller.folder / "card.md").read_text()
        assert "made smaller" in handle.report().read_text()


def test_a_budget_of_too_few_units_asks_for_more_units(tmp_path):
    found = table_of_things(tmp_path, 80).train(budget="1 units")
    assert found.note.endswith("give it more units")
