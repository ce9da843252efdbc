"""The trace that a request belongs to, as its caller says it (W3C Trace Context, https://www.w3.org/TR/trace-context/).

Only the standard library, since every line of a log asks for it: whoever wants spans takes :mod:`mlplatform.telemetry.tracing`.
"""

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

HEADER = b"traceparent"
_FORM = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_LONGEST = 512
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A trace, and the span in it that is at work."""

    trace_id: str
    span_id: str
    sampled: bool


current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)
"""What lines of the log are marked with."""


def parse(value: bytes) -> TraceContext | None:
    """Return what a ``traceparent`` says; ``None`` if it says nothing that may be used.

    Of a version that is not known yet the parts that version 00 has are taken, as its section 3.2.2 asks for.
    """
    found = _FORM.fullmatch(value) if len(value) <= _LONGEST else None
    if found is None or found["version"] == b"ff" or (found["version"] == b"00" and found["more"] is not None):
        return None
    trace, span = found["trace"].decode(), found["span"].decode()
    if not trace.strip("0") or not span.strip("0"):
        return None
    return TraceContext(trace, span, bool(int(found["flags"], 16) & _SAMPLED))


def begun() -> TraceContext:
    """Return a trace that begins here, of which no spans are made: its id is for the log."""
    trace, span = random.getrandbits(128) or 1, random.getrandbits(64) or 1
    return TraceContext(f"{trace:032x}", f"{span:016x}", sampled=False)


def of_headers(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
    """Return the trace of a request by its headers, as ASGI has them; several are as none."""
    found = None
    for name, value in headers:
        if name == HEADER:
            if found is not None:
                return None
            found = value
    return None if found is None else parse(found)
