"""What a traceparent says, and where it shows in the log."""

import io
import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.redaction import redact
from mlplatform.redaction.logging import JsonFormatter, RedactingFilter
from mlplatform.telemetry.context import TraceContext, of_headers, parse
from mlplatform.telemetry.tracing import at_work

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-ff", True),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_headers_of_the_specification(header: str, sampled: bool) -> None:
    assert parse(header.encode()) == TraceContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        "", "-", TRACE, f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-1", f"00-{TRACE}-{SPAN}-01-more", f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n", f"cc-{TRACE}-{SPAN}-01.more", f"cc-{TRACE}-{SPAN}-01-" + "x" * 1000, f"00-{TRACE}-{SPAN}-0g",
    ],
)  # fmt: skip
def test_whatever_else_is_no_trace(header: str) -> None:
    assert parse(header.encode()) is None


@given(st.binary(max_size=600))
def test_no_header_does_any_harm(header: bytes) -> None:
    found = parse(header)
    assert found is None or re.fullmatch(rb"[0-9a-f]{2}-.*", header, re.DOTALL)


def test_two_headers_are_as_none() -> None:
    header = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    assert of_headers([(b"host", b"x"), header]) is not None
    assert of_headers([header, header]) is None
    assert of_headers([]) is None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_a_line_in_the_log_says_its_trace_and_redaction_leaves_it(trace: int, span: int) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(JsonFormatter("shop"))
    record = logging.makeLogRecord({"msg": "order of ada@example.com", "levelname": "INFO", "name": "shop"})
    with at_work(TraceContext(f"{trace:032x}", f"{span:016x}", sampled=False)):
        handler.handle(record)
    handler.handle(logging.makeLogRecord({"msg": "and out", "levelname": "INFO", "name": "shop"}))
    inside, outside = stream.getvalue().splitlines()
    said = json.loads(inside)
    assert (said["trace_id"], said["span_id"]) == (f"{trace:032x}", f"{span:016x}")
    assert "ada@" not in inside
    assert json.loads(redact(inside)) == said  # `platform logs` redacts once more
    assert "trace_id" not in json.loads(outside)
