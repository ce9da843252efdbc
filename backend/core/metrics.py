"""Prometheus metrics of one app; each app has a registry of its own, so two in a process don't mix.

Where several processes answer, each keeps its numbers in files of one folder, and whichever is asked adds them up.
"""

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable by which prometheus_client is told of that folder, before it is imported."""

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """What the backend counts. Domains add their own to ``registry``, and what they look up with :meth:`look_up`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._looked_up: list[Collector] = []
        self.requests = Counter(
            "ml_platform_http_requests",
            "Requests answered, by route template.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "ml_platform_http_request_duration_seconds",
            "Time to the end of the answer, by route template.",
            ["method", "route"],
            registry=self.registry,
        )
        self.audit_events = Counter(
            "ml_platform_audit_events", "Audit events written, by type.", ["type"], registry=self.registry
        )
        self.registrations = Counter(
            "ml_platform_registrations",
            "Model versions registered or refused.",
            ["outcome"],
            registry=self.registry,
        )
        self.scaffolds = Counter(
            "ml_platform_scaffolds",
            "Repositories that were to be made, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.break_glass = Counter(
            "ml_platform_break_glass",
            "Deployments that overrode the policy.",
            ["environment"],
            registry=self.registry,
        )

    def look_up(self, collector: Collector) -> None:
        """Add what is not counted but looked up at each scrape, and so is the same in every process."""
        self.registry.register(collector)
        self._looked_up.append(collector)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format, of all processes that count together."""
        if not os.environ.get(SHARED_FOLDER):
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        for collector in self._looked_up:
            together.register(collector)
        return generate_latest(together)
