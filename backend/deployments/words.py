"""Sentences about rollouts that a person can read in an audit event, a log line or a terminal."""

from collections.abc import Callable

from backend.deployments.analysis import CheckResult, Judgement, StepFigures
from backend.deployments.analysis.judge import LAG, LATENCY, SUCCESS_RATE, SUCCESS_RATE_VS_PRIMARY
from backend.deployments.models import Traffic


def percent(share: float) -> str:
    """Write a share as percent: ``91.30 %``, ``99 %``."""
    text = f"{share * 100:.2f}"
    return f"{text.removesuffix('.00')} %"


def milliseconds(value: float) -> str:
    """Write a response time: ``3.4 ms``, ``812 ms``."""
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def finding(check: CheckResult, judgement: Judgement, percentile: float) -> str:
    """Say what a test found, by which numbers, and how the primary did in the same window."""
    if check.name == LAG:
        behind = f"{check.observed or 0:.1f} s behind its stream, limit {seconds(round(check.limit or 0, 1))}"
        return f"{behind}, for {check.evidence:.1f} s now"
    relation = ">=" if check.evidence >= check.threshold else "<"
    evidence = f"e-value {check.evidence:.2g} {relation} {check.threshold:g}"
    if check.name in (SUCCESS_RATE, SUCCESS_RATE_VS_PRIMARY):
        kind, other = "failed", judgement.primary.success_rate
        against = "" if check.name == SUCCESS_RATE else " allowed by the primary's"
        shown = f"success rate {_or_dash(check.observed, percent)} < {_or_dash(check.limit, percent)}{against}"
        beside = f"; primary {percent(other)}" if other is not None else ""
    else:
        kind, latency = "slower", judgement.primary.latency_ms
        against = "" if check.name == LATENCY else " allowed by the primary's"
        limit = f"{_or_dash(check.limit, milliseconds)}{against}"
        shown = f"p{percentile:g} latency {_or_dash(check.observed, milliseconds)}, limit {limit}"
        beside = f"; primary {milliseconds(latency)}" if latency is not None else ""
    return f"{shown} ({check.bad} of the last {check.total} requests {kind}, {evidence}){beside}"


def passed(weight: int | None, canary: StepFigures) -> str:
    """Say what a step was passed with."""
    where = f"{weight} % of traffic" if weight is not None else "mirrored traffic"
    if not canary.requests:
        return f"{where}: no requests"
    rate = percent(canary.success_rate or 0.0)
    latency = f", {milliseconds(canary.latency_ms)}" if canary.latency_ms is not None else ""
    return f"{where}: {canary.requests} requests, {rate} answered well{latency}"


def weights(rows: list[Traffic]) -> str:
    """Write the desired traffic: ``v1 95 %, v2 5 %``."""
    shown = [f"v{row.version} {row.weight} %" for row in rows if row.weight]
    return ", ".join(shown) or "none"


def seconds(value: float) -> str:
    """Write a span of time: ``0.5 s``, ``90 s``, ``15 min``."""
    if value >= 120:
        return f"{value / 60:.0f} min"
    return f"{value:g} s"


def _or_dash(value: float | None, write: Callable[[float], str]) -> str:
    return "-" if value is None else write(value)
