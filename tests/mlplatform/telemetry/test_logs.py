"""Lines of logs that are sent to a collector: what they say, that nothing arrives that was not redacted, and nobody waits."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlplatform.redaction.logging import RedactingHandler, configure
from mlplatform.telemetry import sending
from mlplatform.telemetry.context import TraceContext
from mlplatform.telemetry.logs import LogExport, send_logs, send_logs_to
from mlplatform.telemetry.tracing import at_work
from tests.collector import Collector, collecting
from tests.ports import free_ports

TRACE = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)
PLACE = {"service.version": "7", "deployment.environment.name": "production"}
CANARIES = ("ada.quill@example.com", "hunter2-is-the-password", "4111 1111 1111 1111", "AKIAIOSFODNN7EXAMPLE")


@pytest.fixture
def handler() -> Iterator[RedactingHandler]:
    """The log of this process, as a process of the platform sets it up."""
    root, hooks = logging.getLogger(), (sys.excepthook, sys.unraisablehook, logging.lastResort)
    before, level = root.handlers[:], root.level
    made = configure("model-server", stream=io.StringIO(), model="wine")
    yield made
    made.close()
    root.handlers[:], root.level = before, level
    logging.captureWarnings(False)
    sys.excepthook, sys.unraisablehook, logging.lastResort = hooks


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def written(handler: RedactingHandler) -> list[dict[str, Any]]:
    stream: Any = handler.stream
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_arrives_with_trace_severity_and_where_it_is_from(
    handler: RedactingHandler, collector: Collector
) -> None:
    send_logs_to(handler, collector.endpoint, "wine", PLACE)
    shop = logging.getLogger("shop")
    with at_work(TRACE):
        shop.warning("order %d is late", 7, extra={"order": 7, "tags": ["a", {"b": 1}]})
    try:
        raise ValueError("no such order")
    except ValueError:
        shop.exception("lost")
    shop.critical("over")
    handler.close()
    late, lost, over = [one for one in collector.lines if one.logger == "shop"]
    assert (late.severity, late.number, late.body) == ("WARNING", 13, "order 7 is late")
    assert (late.trace, late.span) == (TRACE.trace_id, TRACE.span_id)
    assert late.resource["service.name"] == "wine"
    assert {name: late.resource[name] for name in PLACE} == PLACE
    assert (late.fields["order"], "tags" in late.fields) == (7, True)
    assert (lost.severity, lost.number, lost.trace) == ("ERROR", 17, "")
    assert "ValueError: no such order" in lost.fields["exception.stacktrace"]
    assert (over.severity, over.number) == ("CRITICAL", 21)
    assert [one["message"] for one in written(handler)] == [one.body for one in collector.lines]


def test_nothing_arrives_that_was_not_redacted(handler: RedactingHandler, collector: Collector) -> None:
    send_logs_to(handler, collector.endpoint, "wine", PLACE)
    mail, secret, card, key = CANARIES
    log = logging.getLogger("shop")
    log.info("mail to %s", mail)
    log.info("paid", extra={"card": card, "password": secret, "deep": {"who": [mail]}})
    try:
        raise RuntimeError(f"{mail} used {key}")
    except RuntimeError:
        log.exception("failed for %s", card)
    log.info("stack", stack_info=True, extra={"api_key": secret})
    handler.close()
    assert len(collector.lines) == 4
    sent = b"".join(collector.received).decode("utf-8", "replace")
    for canary in CANARIES:
        assert canary not in sent
        assert canary not in str(written(handler))
    assert "[REDACTED:EMAIL]" in sent
    assert "[REDACTED:SECRET]" in sent


def test_a_collector_that_is_not_there_costs_one_line_and_no_time(handler: RedactingHandler) -> None:
    (port,) = free_ports(1)
    send_logs_to(handler, f"http://127.0.0.1:{port}", "wine", PLACE)
    log = logging.getLogger("shop")
    for number in range(3 * sending.QUEUE):
        log.info("line %d", number)
    exporter = handler.also
    assert isinstance(exporter, LogExport)
    exporter._provider.force_flush()
    log.info("after")
    handler.close()
    lines = [one["message"] for one in written(handler)]
    assert [one for one in lines if one.startswith("line ")] == [f"line {n}" for n in range(3 * sending.QUEUE)]
    said = [one for one in lines if not one.startswith("line ")]
    assert said.count("after") == 1
    told = [one for one in said if one != "after"]
    assert told == [f"logs can't be sent to http://127.0.0.1:{port}/v1/logs; they are written here alone"]


def test_what_comes_after_the_end_is_written(handler: RedactingHandler, collector: Collector) -> None:
    send_logs_to(handler, collector.endpoint, "wine", PLACE)
    logging.getLogger("shop").info("before")
    handler.close()
    logging.getLogger("shop").info("too late")
    assert [one["message"] for one in written(handler)] == ["before", "too late"]
    assert [one.body for one in collector.lines] == ["before"]


@pytest.mark.parametrize(
    ("named", "sent"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "{}/"}, True),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "{}/v1/logs"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_LOGS_EXPORTER": "none"}, False),
    ],
)
def test_an_environment_says_where_logs_go(
    named: dict[str, str], sent: bool, handler: RedactingHandler, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_LOGS_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in named.items():
        monkeypatch.setenv(name, value.format(collector.endpoint))
    send_logs(handler, "wine", PLACE, day="2026-03-01")
    logging.getLogger("shop").info("hello")
    handler.close()
    assert [(one.body, one.fields["day"]) for one in collector.lines] == ([("hello", "2026-03-01")] if sent else [])


def test_a_toolkit_without_the_exporter_writes_its_log(
    handler: RedactingHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http._log_exporter", None)
    send_logs_to(handler, "http://127.0.0.1:4318", "wine", PLACE)
    assert handler.also is None
    assert "no logs are sent" in written(handler)[0]["message"]


@pytest.mark.slow
def test_the_last_lines_of_a_process_arrive(collector: Collector, tmp_path: Path) -> None:
    """Of one that ends by itself, and soon even where the collector takes nothing."""
    code = (
        "import logging, sys\n"
        "from mlplatform.redaction.logging import configure\n"
        "from mlplatform.telemetry.logs import send_logs_to\n"
        "send_logs_to(configure('batch'), sys.argv[1], 'orders', {})\n"
        "logging.getLogger('x').info('last words')\n"
    )
    (port,) = free_ports(1)
    for endpoint in (collector.endpoint, f"http://127.0.0.1:{port}"):
        done = subprocess.run(
            [sys.executable, "-c", code, endpoint], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=True
        )
        assert json.loads(done.stderr.splitlines()[0])["message"] == "last words"
    assert [one.body for one in collector.lines] == ["last words"]
