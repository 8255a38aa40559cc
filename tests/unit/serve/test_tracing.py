"""Traces: a span per request with its parts, the caller's trace carried on, and nothing of what was sent."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from volant.errors import BadInput
from volant.serve.app import Application
from volant.serve.http import Request, Response
from volant.serve.metrics import Figures
from volant.serve.problems import HttpError
from volant.serve.service import Service
from volant.serve.tracing import Tracing
from volant.store import open_store
from volant.testing import handmade

export = pytest.importorskip("opentelemetry.sdk.trace.export", reason="the extra telemetry is not installed")
BODY = json.dumps({"rows": [{"age": 50, "plan": "gold"}, {"age": 5}], "subject": "Marianne"}).encode()
CALLER = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    return handmade.make_served_product(tmp_path_factory.mktemp("traced"))


@pytest.fixture
def kept():
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


@pytest.fixture
def app(product, kept):
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(kept))
    with open_store(product.home) as store:
        figures = Figures()
        made = Application({"": Service(product, store, figures)}, figures, tracing=Tracing(provider))
        made.start()
        yield made
        made.close()


def call(app, target=b"/v1/predict?who=Marianne", body=BODY, **headers) -> Response:
    given = {b"content-type": b"application/json", **{k.encode(): v for k, v in headers.items()}}
    request = Request("POST", target, given)

    async def ask() -> Response:
        try:
            route = app.open(request)
            request.body = body
            found = app.answer(request, route)
            return found if isinstance(found, Response) else await found
        except HttpError as error:
            return app.refusal(error, request)

    response = asyncio.run(ask())
    app.done(request, response.status, 0.001)
    return response


def test_a_prediction_is_a_span_with_its_parts(app, kept):
    response = call(app, traceparent=CALLER)
    spans = {span.name: span for span in kept.get_finished_spans()}
    assert set(spans) == {"POST /v1/predict", "queue", "predict", "log"}
    whole = spans.pop("POST /v1/predict")
    assert f"{whole.context.trace_id:032x}" == CALLER.decode().split("-")[1]
    assert f"{whole.parent.span_id:016x}" == CALLER.decode().split("-")[2]
    assert whole.attributes["http.route"] == "/v1/predict"
    assert whole.attributes["http.response.status_code"] == 200
    for part in spans.values():
        assert part.parent.span_id == whole.context.span_id
        assert whole.start_time <= part.start_time <= part.end_time <= whole.end_time
        assert part.attributes["volant.rows"] == 2
        assert part.attributes["volant.release"] == json.loads(response.body)["release"]
    told = dict(response.headers)[b"traceresponse"].decode()
    assert told == f"00-{whole.context.trace_id:032x}-{whole.context.span_id:016x}-01"


def test_no_span_holds_what_a_caller_sent(app, kept):
    call(app, target=b"/v1/Marianne", traceparent=b"00-Marianne")
    call(app, body=b'{"row": "Marianne"}', tracestate=b"a=Marianne")
    call(app)
    spans = kept.get_finished_spans()
    assert len(spans) == 5  # the first has no route, so it has no span
    assert "Marianne" not in "".join(span.to_json() for span in spans)


def test_a_caller_who_does_not_sample_gets_no_span(app, kept):
    assert call(app, traceparent=CALLER[:-1] + b"0").status == 200
    assert kept.get_finished_spans() == ()


def test_a_failed_request_is_a_failed_span(app, kept, monkeypatch):
    def full(records):
        raise OSError("no space")

    monkeypatch.setattr(app.services[""].journal, "append", full)
    assert call(app).status == 500
    [span] = kept.get_finished_spans()
    assert not span.status.is_ok


def test_the_environment_decides(monkeypatch):
    assert Tracing.wanted({}) is None
    receiver = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert Tracing.wanted({**receiver, "OTEL_SDK_DISABLED": "true"}) is None
    assert Tracing.wanted({**receiver, "OTEL_TRACES_EXPORTER": "none"}) is None
    made = Tracing.wanted(receiver)
    assert made is not None
    made.close()
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BadInput) as refused:
        Tracing.wanted(receiver)
    assert refused.value.code == "extra-missing"
