"""Traces in the words of OpenTelemetry: a span per request, and beneath it what it waited for, the model, and the log.

Nothing is traced, and no library of it is imported, unless the standard environment variables name a receiver. A span
holds the route, the status, the release and how many rows, never what a caller sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from volant.errors import BadInput
from volant.serve.answering import Times
from volant.serve.http import Header, Request

RECEIVERS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""One of them names who receives traces. Their usual variables set headers, timeouts, sampling and so on, too."""

_PARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Tracing:
    """Makes spans of requests.

    Args:
        provider: the `TracerProvider` of OpenTelemetry's library that they belong to.
    """

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("volant")
        self._kind = SpanKind.SERVER
        self._extract = TraceContextTextMapPropagator().extract

    @staticmethod
    def wanted(environment: Mapping[str, str] | None = None) -> Tracing | None:
        """What the environment asks for: traces to a receiver by OTLP over HTTP, or nothing.

        Raises:
            BadInput: code `extra-missing`.
        """
        found = os.environ if environment is None else environment
        off = found.get("OTEL_SDK_DISABLED", "").lower() == "true" or found.get("OTEL_TRACES_EXPORTER") == "none"
        named = next((name for name in RECEIVERS if found.get(name)), None)
        if off or named is None:
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            fix = f'run `pip install "volant[telemetry]"`, or unset {named}'
            raise BadInput("traces need the library of OpenTelemetry", code="extra-missing", fix=fix) from None
        provider = TracerProvider(resource=Resource.create({"service.name": found.get("OTEL_SERVICE_NAME", "volant")}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return Tracing(provider)

    def begin(self, request: Request) -> None:
        """Begin the span of a request whose head has come; `traceparent` says whose part it is."""
        given = request.headers.get(b"traceparent", b"")
        context = None
        if _PARENT.fullmatch(given):
            state = request.headers.get(b"tracestate", b"").decode("latin-1")
            context = self._extract({"traceparent": given.decode(), "tracestate": state})
        request.span = self._tracer.start_span(request.method, context, self._kind)

    def end(self, request: Request, route: str, status: int) -> None:
        """End the span of a request that was answered."""
        span = request.span
        if span is None or not span.is_recording():
            return
        span.update_name(f"{request.method} {route}")
        span.set_attributes(
            {
                "http.request.method": request.method,
                "http.route": route,
                "http.response.status_code": status,
                "volant.request_id": request.id.decode(),
            }
        )
        for times in request.times:
            self._divide(span, times)
        if status >= 500:
            span.set_status(_failed())
        span.end()

    def _divide(self, span: Any, times: Times) -> None:
        """The parts of the work on a request: what it waited for, the model with what belongs to it, the log."""
        from opentelemetry.trace import set_span_in_context

        context, asked = set_span_in_context(span), span.start_time
        facts = {"volant.rows": times.rows, "volant.release": times.release}
        for name, begun, ended in (
            ("queue", asked, times.begun),
            ("predict", times.begun, times.predicted),
            ("log", times.predicted, times.logged),
        ):
            child = self._tracer.start_span(name, context, start_time=begun, attributes=facts)
            child.end(max(ended, begun))

    def headers(self, request: Request) -> tuple[Header, ...]:
        """What an answer says of its span, so that the caller can find it (W3C Trace Context, level 2)."""
        if request.span is None:
            return ()
        context = request.span.get_span_context()
        told = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        return ((b"traceresponse", told.encode()),)

    def close(self) -> None:
        """Send what was not sent yet."""
        self._provider.shutdown()


def _failed() -> Any:
    from opentelemetry.trace import Status, StatusCode

    return Status(StatusCode.ERROR)
