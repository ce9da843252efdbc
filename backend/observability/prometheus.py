"""Objectives as a Prometheus has recorded them, asked for over its HTTP API (https://prometheus.io/docs/prometheus/latest/querying/api/).

All models are asked for together: one query for each window, however many models there are.

What a Prometheus says of a window is right only as far as it remembers that window: it may be younger than that, have lost its
disk, keep less than that, or not reach the servers. So it is also asked for how long it recorded anything.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import orjson

from backend.core.config_observability import PrometheusSettings
from mlplatform.spec.quantities import format_duration

Key = tuple[str, str, str]
"""Environment, model and objective."""
BUDGET = "slo:error_budget:remaining"
EVENTS = "slo:events:rate5m"
_LARGEST = 64 * 2**20
_POINTS = 2000
"""At how many moments of a window it is looked whether there was a record: enough to tell hours of a month apart."""


class PrometheusUnavailable(Exception):
    """It does not answer, or not with what was asked for; the message says how."""


@dataclass
class Recorded:
    """What is recorded of one objective."""

    remaining: float | None = None
    ratios: dict[timedelta, float] = field(default_factory=dict)
    covered: dict[timedelta, float] = field(default_factory=dict)
    """By window of the budget: seconds of it in which events were recorded, in steps of :func:`step`."""
    doubled: bool = False
    """Whether there was more than one series; the worst one counts."""


class PrometheusClient:
    """Asks one Prometheus. Not to be used within a transaction: it may be slow."""

    def __init__(self, settings: PrometheusSettings, transport: httpx.BaseTransport | None = None) -> None:
        headers = {}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        self._client = httpx.Client(
            base_url=settings.url.rstrip("/"),
            headers=headers,
            timeout=settings.timeout.total_seconds(),
            transport=transport,
        )

    def recorded(
        self, windows: Iterable[timedelta], at: float, budgets: Iterable[timedelta] = ()
    ) -> dict[Key, Recorded]:
        """Return what is recorded of every objective at a time, for windows of alerts and of budgets.

        Raises:
            PrometheusUnavailable: one of the queries was not answered.
        """
        found: dict[Key, Recorded] = {}
        for key, value, doubled in self._series(BUDGET, at):
            one = found.setdefault(key, Recorded())
            one.doubled |= doubled
            one.remaining = value if one.remaining is None else min(one.remaining, value)
        for window in sorted(set(windows)):
            for key, value, doubled in self._series(f"slo:error_ratio:rate{format_duration(window)}", at):
                one = found.setdefault(key, Recorded())
                one.doubled |= doubled
                one.ratios[window] = max(value, one.ratios.get(window, 0.0))
        for window in sorted(set(budgets)):
            span, every = format_duration(window), step(window)
            for key, value, _ in self._series(f"count_over_time({EVENTS}[{span}:{every}s])", at):
                one = found.setdefault(key, Recorded())
                one.covered[window] = max(value * every, one.covered.get(window, 0.0))
        return found

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _series(self, query: str, at: float) -> list[tuple[Key, float, bool]]:
        seen: set[Key] = set()
        found = []
        for labels, value in self._vector(query, at):
            names = (labels.get("environment"), labels.get("model"), labels.get("slo"))
            if all(isinstance(name, str) and name for name in names) and math.isfinite(value):
                key: Key = names  # type: ignore[assignment]
                found.append((key, value, key in seen))
                seen.add(key)
        return found

    def _vector(self, query: str, at: float) -> list[tuple[Mapping[str, Any], float]]:
        try:
            with self._client.stream("GET", "/api/v1/query", params={"query": query, "time": f"{at:.3f}"}) as answer:
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > _LARGEST:
                        raise PrometheusUnavailable(f"its answer to {query} is larger than {_LARGEST} bytes")
            document = _decoded(answer, body)
        except httpx.TimeoutException:
            raise PrometheusUnavailable("it did not answer in time") from None
        except httpx.HTTPError as error:
            raise PrometheusUnavailable(f"it can't be reached: {type(error).__name__}") from None
        try:
            result = document["data"]["result"]
            return [(one["metric"], float(one["value"][1])) for one in result]
        except (KeyError, TypeError, ValueError, IndexError):
            raise PrometheusUnavailable(f"its answer to {query} is no vector") from None


def step(window: timedelta) -> int:
    """Return how many seconds lie between two moments of a window at which it is looked whether there was a record."""
    return max(-(-int(window.total_seconds()) // (_POINTS * 60)), 1) * 60


def _decoded(answer: httpx.Response, body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise PrometheusUnavailable(f"it answers {answer.status_code} with something that is no JSON object")
    if answer.status_code != 200 or document.get("status") != "success":
        raise PrometheusUnavailable(f"it answers {answer.status_code}: {str(document.get('error'))[:200]}")
    return document
