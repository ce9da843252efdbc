"""Spans of requests: of the backend's, of a model server's, and what happens when nobody takes them."""

import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from backend.core.http.middleware import RequestContext
from backend.core.metrics import Metrics
from mlplatform.telemetry import tracing as module
from mlplatform.telemetry.context import TraceContext, current
from mlplatform.telemetry.sending import ENDPOINT
from mlplatform.telemetry.tracing import tracing, tracing_to
from tests.collector import collecting
from tests.ports import free_ports

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = TraceContext(TRACE, PARENT, sampled=True), TraceContext("5" * 32, PARENT, sampled=False)


async def shown(request: Request) -> PlainTextResponse:
    if request.path_params["name"] == "broken":
        raise RuntimeError("broken")
    trace = current.get()
    return PlainTextResponse(trace.trace_id if trace else "none")


def test_a_request_to_the_backend_is_a_span_named_by_its_route() -> None:
    with collecting() as collector:
        spans = tracing_to(collector.endpoint, "ml-platform-backend", ratio=0.0)
        app = Starlette(routes=[Route("/models/{name}", shown), Route("/healthz", shown)])
        app.add_middleware(RequestContext, metrics=Metrics(), tracing=spans)
        with TestClient(app, raise_server_exceptions=False) as http:
            header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            assert http.get("/models/wine", headers=header).text == TRACE
            assert http.get("/models/broken", headers=header).status_code == 500
            own = {http.get("/models/wine", headers=one).text for one in ({}, {}, {"traceparent": "nonsense"})}
            assert len(own) == 3
            assert all(len(one) == 32 for one in own)
            assert http.get("/models/wine", headers={"traceparent": f"00-{'5' * 32}-{PARENT}-00"}).text == "5" * 32
        assert spans is not None
        spans.close()
        assert [(one.trace, one.parent, one.failed) for one in collector.spans] == [
            (TRACE, PARENT, False), (TRACE, PARENT, True)
        ]  # fmt: skip
        assert {one.name for one in collector.spans} == {"GET /models/{name}"}


@pytest.mark.slow
def test_a_collector_that_is_not_there_costs_one_line(caplog: Any) -> None:
    (port,) = free_ports(1)
    caplog.set_level(logging.INFO)
    spans = tracing_to(f"http://127.0.0.1:{port}", "wine", ratio=1.0)
    assert spans is not None
    for _ in range(2):
        for _ in range(2100):  # more than the queue holds
            one = spans.begin(SAMPLED, "POST v2")
            assert one is not None
            one.end(200)
        spans.close()
    said = [
        record.getMessage()
        for record in caplog.records
        if "opentelemetry" in record.name or "traces" in record.getMessage()
    ]
    assert said == [f"traces can't be sent to http://127.0.0.1:{port}/v1/traces; requests are answered without"]
    assert spans.begin(UNSAMPLED, "POST v2") is None


def test_without_a_collector_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ENDPOINT, module.TRACES_ENDPOINT):
        monkeypatch.delenv(name, raising=False)
    assert tracing("wine", {}) is None


def test_an_environment_names_the_collector_in_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        for name, value in (
            (ENDPOINT, f"{collector.endpoint}/"),
            (module.TRACES_ENDPOINT, f"{collector.endpoint}/v1/traces"),
        ):
            monkeypatch.setenv(name, value)
            monkeypatch.setenv(module.RATIO, "not a number")
            made = tracing("wine", {"service.version": "7"})
            assert made is not None
            one = made.begin(None, "POST v2")
            assert one is not None
            with one.inside("predict", rows=1):
                pass
            one.end(200)
            made.close()
        first, second, *rest = [span for span in collector.spans if span.name == "POST v2"]
        assert first.trace != second.trace
        assert rest == []
        assert {one.parent for one in collector.spans if one.name == "predict"} == {first.span, second.span}


def test_a_toolkit_without_the_exporter_serves_without_traces(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert tracing_to("http://127.0.0.1:4318", "wine", ratio=1.0) is None
    assert "no traces are sent" in caplog.text
