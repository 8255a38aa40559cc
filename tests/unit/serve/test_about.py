"""Health, figures, the document and the page."""

from __future__ import annotations

import re

import pytest

from volant.testing import handmade

ROW = {"age": 50, "plan": "gold"}


def test_readiness_names_the_release(running):
    facts = running.get("/v1/health/ready").json()
    release = running.store.champion().release[:12]
    assert facts == {"ready": True, "release": release, "contract": 1, "settled": True, "config_changed": False}


def test_a_changed_product_file_is_told_and_not_half_applied(running):
    file = running.product.folder / "volant.toml"
    file.write_text(handmade.FILE_TEXT + "[serve]\nmax_rows = 1\n")
    running.service.configuration.look()
    assert running.get("/v1/health/ready").json()["config_changed"] is True
    assert len(running.predict(ROW, ROW)) == 2
    file.write_text(handmade.FILE_TEXT + "# a remark\n")
    running.service.configuration.look()
    assert running.get("/v1/health/ready").json()["config_changed"] is False
    file.write_text("not a product file")
    running.service.configuration.look()
    assert running.get("/v1/health/ready").json()["config_changed"] is True


def test_figures_count_what_happened(running):
    [answer] = running.predict(ROW)
    running.say({"prediction_id": answer["id"], "kind": "rating", "value": "up"})
    running.get("/nowhere")
    text = running.get("/metrics").text
    assert running.get("/metrics").headers["content-type"].startswith("text/plain")
    assert 'volant_requests_total{method="POST",path="/v1/predict",status="200"} 1.0' in text
    assert 'volant_requests_total{method="any",path="other",status="404"} 1.0' in text
    assert 'volant_feedback_total{kind="rating",outcome="stored",product="churn"} 1.0' in text
    assert re.search(r'volant_predictions_total{product="churn",release="\w{12}"} 1.0', text)
    assert "volant_request_seconds_bucket" in text
    assert 'volant_ready{product="churn"} 1.0' in text


def test_the_figures_are_of_this_service_alone(running):
    assert "python_info" not in running.get("/metrics").text


def test_home_leads_to_the_page(running):
    answer = running.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_the_page_needs_nothing_from_elsewhere(running):
    answer = running.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def resolve(document, schema):
    while "$ref" in schema:
        target = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


class TestDocument:
    @pytest.fixture
    def document(self, running):
        return running.get("/openapi.json").json()

    def test_it_is_openapi_3_1(self, document):
        assert document["openapi"] == "3.1.0"
        assert document["info"]["title"] == "churn"
        assert set(document["paths"]) == {
            "/v1/predict",
            "/v1/explain",
            "/v1/feedback",
            "/v1/health/live",
            "/v1/health/ready",
            "/metrics",
        }

    def test_every_reference_leads_somewhere(self, document):
        for reference in references(document):
            assert resolve(document, reference)

    def test_rows_are_typed_from_the_signature(self, document):
        row = resolve(document, {"$ref": "#/components/schemas/Row"})
        assert row["required"] == ["age"]
        assert row["additionalProperties"] is False
        assert row["properties"]["age"]["x-type"] == "number"
        assert row["properties"]["age"]["examples"] == [41.0]
        assert {"enum": ["basic", "gold", None]} in row["properties"]["plan"]["anyOf"]

    def test_answers_are_typed_from_the_signature(self, document):
        prediction = resolve(document, {"$ref": "#/components/schemas/Prediction"})
        assert prediction["properties"]["label"]["enum"] == ["no", "yes"]
        assert set(prediction["properties"]["probabilities"]["properties"]) == {"no", "yes"}

    def test_the_example_in_it_works(self, running, document):
        example = document["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert running.post("/v1/predict", json=example).status_code == 200

    def test_feedback_says_which_kinds_there_are(self, document):
        item = resolve(document, {"$ref": "#/components/schemas/FeedbackItem"})
        assert item["properties"]["kind"]["enum"][:2] == ["correction", "rating"]
        assert item["required"] == ["prediction_id", "kind", "value"]

    def test_it_follows_the_release(self, running):
        running.new_release(contract=2)
        running.service.watch()
        assert running.get("/openapi.json").json()["info"]["version"] == "2"

    def test_a_key_is_in_it_where_there_is_one(self, start):
        running = start(handmade.FILE_TEXT + '[serve]\nkey = "abc"\n')
        assert running.get("/openapi.json").status_code == 401
        document = running.get("/openapi.json", headers={"authorization": "Bearer abc"}).json()
        assert document["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
        assert document["paths"]["/v1/feedback"]["post"]["security"] == [{"key": []}]
        assert "abc" not in str(document)

    def test_refused_categories_are_a_plain_choice(self, start):
        running = start(handmade.FILE_TEXT + '[serve]\nunknown_category = "refuse"\n')
        row = running.get("/openapi.json").json()["components"]["schemas"]["Row"]
        assert row["properties"]["plan"]["enum"] == ["basic", "gold", None]
