"""A collector that takes OTLP over HTTP, as OpenTelemetry's protobuf says it: a server in this process that keeps what it got."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.waiting import wait_until


@dataclass(frozen=True)
class Seen:
    """A span as it arrived."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    failed: bool


@dataclass(frozen=True)
class Line:
    """A line of a log as it arrived."""

    resource: dict[str, str]
    logger: str
    severity: str
    number: int
    body: str
    trace: str
    span: str
    fields: dict[str, Any]

    @property
    def service(self) -> str:
        return self.resource["service.name"]


@dataclass
class Collector:
    """What arrived."""

    endpoint: str
    spans: list[Seen] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    """Every body, as it came."""

    def of(self, trace: str) -> list[Seen]:
        return [one for one in self.spans if one.trace == trace]

    def until(self, trace: str, count: int, seconds: float = 20) -> dict[str, Seen]:
        """Wait for so many spans of a trace; return them by service and name."""
        wait_until(lambda: len(self.of(trace)) >= count, seconds)
        found = self.of(trace)
        assert len(found) == count, found
        return {f"{one.service}: {one.name}": one for one in found}


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = (
                self._chunks() if "content-length" not in self.headers else self._read(self.headers["content-length"])
            )
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.received.append(body)
            if self.path == "/v1/logs":
                collector.lines += lines_of(body)
                self._answer(ExportLogsServiceResponse().SerializeToString())
                return
            assert self.path == "/v1/traces"
            for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
                said = {one.key: one.value.string_value for one in sent.resource.attributes}
                for scope in sent.scope_spans:
                    for span in scope.spans:
                        collector.spans.append(
                            Seen(
                                said["service.name"], span.name, span.trace_id.hex(), span.span_id.hex(),
                                span.parent_span_id.hex(), span.status.code == 2,
                            )
                        )  # fmt: skip
            self._answer(ExportTraceServiceResponse().SerializeToString())

        def _answer(self, answer: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _read(self, length: str) -> bytes:
            return self.rfile.read(int(length))

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


def lines_of(body: bytes) -> list[Line]:
    found = []
    for sent in ExportLogsServiceRequest.FromString(body).resource_logs:
        resource = {one.key: one.value.string_value for one in sent.resource.attributes}
        for scope in sent.scope_logs:
            for one in scope.log_records:
                fields = {each.key: _value(each.value) for each in one.attributes}
                found.append(
                    Line(
                        resource, scope.scope.name, one.severity_text, one.severity_number, one.body.string_value,
                        one.trace_id.hex(), one.span_id.hex(), fields,
                    )
                )  # fmt: skip
    return found


def _value(said: Any) -> Any:
    kind = said.WhichOneof("value")
    return getattr(said, kind) if kind else None
