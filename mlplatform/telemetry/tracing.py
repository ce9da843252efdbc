"""Spans of requests, sent to an OpenTelemetry collector by OTLP over HTTP.

Configured by the variables that OpenTelemetry has for it
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/): nothing is imported, and nothing sent, unless
``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` is set. Whether a request is sampled is its caller's
decision (Envoy's, as a rule); for those without a trace, or with one that can't be read and that Envoy passes on as it is, it is
made here, by ``OTEL_TRACES_SAMPLER_ARG``.

What is not sampled costs next to nothing. What is goes into a bounded queue, which a thread sends off: a collector that is slow
or gone holds up no request, and one line in the log says so.
"""

import logging
import os
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlplatform.telemetry.context import TraceContext, current
from mlplatform.telemetry.sending import DELAY, LAST, QUEUE, TIMEOUT, Reach, endpoint_for, place

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span, Tracer

TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
RATIO = "OTEL_TRACES_SAMPLER_ARG"

_logger = logging.getLogger(__name__)

Attribute = str | int | float | bool


class RequestSpan:
    """The span of one request that is sampled."""

    def __init__(self, tracer: "Tracer", span: "Span") -> None:
        self._tracer, self._span = tracer, span
        said = span.get_span_context()
        self.context = TraceContext(f"{said.trace_id:032x}", f"{said.span_id:016x}", sampled=True)

    @contextmanager
    def inside(self, name: str, **attributes: Attribute) -> Iterator[None]:
        """Time a part of the request's work."""
        from opentelemetry import trace

        part = self._tracer.start_span(name, trace.set_span_in_context(self._span), attributes=attributes)
        try:
            yield
        finally:
            part.end()

    def end(self, status: int, name: str | None = None) -> None:
        """End it with the status that was answered; a server error makes it an error."""
        from opentelemetry.trace import StatusCode

        if name is not None:
            self._span.update_name(name)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class Tracing:
    """Makes spans and sends them."""

    def __init__(self, endpoint: str, attributes: Mapping[str, str], ratio: float) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        reach = Reach("traces", endpoint, "requests are answered without")

        class Quiet(SpanExporter):
            """Takes note of whether the collector is reached."""

            def __init__(self) -> None:
                self._real = OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT)

            def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
                try:
                    result = self._real.export(spans)
                except Exception:
                    result = SpanExportResult.FAILURE
                reach.tell(taken=result is SpanExportResult.SUCCESS)
                return result

            def shutdown(self) -> None:
                self._real.shutdown()  # type: ignore[no-untyped-call]

        self._ratio = ratio
        # Which requests get a span is decided before one is made.
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource.create(attributes), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(Quiet(), max_queue_size=QUEUE, schedule_delay_millis=DELAY)
        )
        self._tracer = self._provider.get_tracer("mlplatform")

    def begin(self, context: TraceContext | None, name: str, **attributes: Attribute) -> RequestSpan | None:
        """Begin the span of a request that came with this trace; ``None`` if it is not sampled."""
        if not context.sampled if context is not None else random.random() >= self._ratio:  # noqa: S311 - not a secret
            return None
        from opentelemetry import trace

        parent = None
        if context is not None:
            flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
            said = trace.SpanContext(int(context.trace_id, 16), int(context.span_id, 16), True, flags)
            parent = trace.set_span_in_context(trace.NonRecordingSpan(said))
        span = self._tracer.start_span(name, parent, kind=trace.SpanKind.SERVER, attributes=attributes)
        return RequestSpan(self._tracer, span)

    def close(self) -> None:
        """Send what is left, for a moment at most."""
        last = threading.Thread(target=self._provider.force_flush, args=(int(LAST * 1000),), daemon=True)
        last.start()
        last.join(LAST)


def tracing(service: str, attributes: Mapping[str, str]) -> Tracing | None:
    """Return what makes the spans of this process, if its environment names a collector."""
    named = endpoint_for("traces")
    if named is None:
        return None
    try:
        ratio = float(os.environ.get(RATIO) or 1.0)
    except ValueError:
        ratio = 1.0
    return _made(named, service, ratio, attributes)


def tracing_to(endpoint: str, service: str, *, ratio: float) -> Tracing | None:
    """Return what sends spans to a collector.

    One that can't be used is a warning: traces are never a reason not to serve.
    """
    return _made(place(endpoint, "traces"), service, ratio, {})


def _made(endpoint: str, service: str, ratio: float, attributes: Mapping[str, str]) -> Tracing | None:
    known = {"service.namespace": "ml-platform", "service.name": service, **attributes}
    try:
        return Tracing(endpoint, known, ratio)
    except (ImportError, ValueError) as error:
        _logger.warning("no traces are sent: %s", error)
        return None


@contextmanager
def at_work(context: TraceContext | None) -> Iterator[None]:
    """Mark what is logged meanwhile with a trace."""
    token = current.set(context)
    try:
        yield
    finally:
        current.reset(token)
