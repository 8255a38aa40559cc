"""29, 30, 31: a model that gives NaN, and parameters and texts that no request may have."""

from __future__ import annotations

import time

import httpx
import pytest

from volant.core.records import Field, Pipeline, Signature, Step
from volant.store import open_store
from volant.testing import handmade
from volant.testing.served import served

CONTRACT = Signature(
    "classify",
    "churned",
    (Field("age", "number", False, 41.0), Field("note", "text", False, "a word")),
    (),
    ("no", "yes"),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A release that does well on its own example, and gives NaN for every other age."""
    steps = Pipeline(
        (
            Step("encode", ("age",), "code", {"vocabulary": [41.0], "other": None}),
            Step("sigmoid_pair", ("code",), "probability"),
            Step("decide", ("probability",), "label", {"classes": ["no", "yes"]}),
        ),
        {"probability": "probability", "label": "label"},
    )
    product = handmade.make_product(tmp_path_factory.mktemp("nan"))
    with open_store(product.home) as store:
        handmade.promote(store, handmade.write_release(product.home, steps, CONTRACT))
        with served(product.folder, "--workers", "1") as running:
            running.store = store
            yield running


def ask(service, **body) -> httpx.Response:
    return httpx.post(service.url + "/v1/predict", json=body, timeout=60)


def test_29_the_model_gives_nan(service):
    before = service.store.counts()["predictions"]
    answer = ask(service, rows=[{"age": 41}, {"age": 50}])
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "prediction-failed"
    assert "nan" not in answer.text.lower()
    until = time.monotonic() + 30
    while service.store.counts()["predictions"] != before + 2:
        assert time.monotonic() < until, "both rows are logged"
        time.sleep(0.1)
    assert ask(service, row={"age": 41}).status_code == 200


@pytest.mark.parametrize("more", [{"max_tokens": -1}, {"n": 10**6}, {"temperature": 1e9}, {"stream": True}])
def test_30_parameters_that_the_product_does_not_have(service, more):
    answer = ask(service, row={"age": 41}, **more)
    assert answer.status_code == 422
    assert answer.json()["troubles"][0]["where"] == next(iter(more))


def test_31_texts_that_are_too_long(service):
    """A text is bounded by the body that holds it; a subject by itself."""
    assert ask(service, row={"age": 41, "note": "x" * 9_000_000}).status_code == 413
    assert ask(service, row={"age": 41, "note": "x" * 1_000_000}).status_code == 200
    assert ask(service, row={"age": 41}, subject="x" * 1025).status_code == 422
