"""Prometheus metrics of one app; each app has a registry of its own, so two in a process don't mix."""

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """What the backend counts. Domains add their own to ``registry``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
