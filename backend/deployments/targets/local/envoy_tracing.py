"""How Envoy takes part in traces (W3C Trace Context): pure functions, as in :mod:`backend.deployments.targets.local.envoy`.

A request that comes with a ``traceparent`` stays in its trace; any other gets one. Envoy decides what is sampled. It has no
tracer without a collector to send spans to: then it passes the header on as it is, and the model server begins the trace.
"""

from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]

COLLECTOR = "opentelemetry-collector"
_API = "type.googleapis.com/envoy"
_OPEN_TELEMETRY = f"{_API}.config.trace.v3.OpenTelemetryConfig"
_TLS = f"{_API}.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_PORTS = {"http": 80, "https": 443}
_SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def tracing(endpoint: str, ratio: float) -> Json:
    """Return the ``tracing`` of the connection manager."""
    uri = {"uri": f"{endpoint.rstrip('/')}/v1/traces", "cluster": COLLECTOR, "timeout": "1s"}
    provider = {
        "@type": _OPEN_TELEMETRY,
        "service_name": "ml-platform-ingress",
        "http_service": {"http_uri": uri},
    }
    return {
        "random_sampling": {"value": round(100 * ratio, 4)},
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": provider},
    }


def runtime() -> Json:
    """Return the runtime settings: spans are sent every second, as model servers send theirs."""
    settings = {"tracing.opentelemetry.flush_interval_ms": 1000}
    return {"layers": [{"name": "static", "static_layer": settings}]}


def collector(endpoint: str) -> Json:
    """Return the collector's cluster."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    address = {"socket_address": {"address": host, "port_value": parts.port or _PORTS[parts.scheme]}}
    cluster: Json = {
        "name": COLLECTOR,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": COLLECTOR,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if parts.scheme == "https":
        known = {"trusted_ca": {"filename": _SYSTEM_CERTIFICATES}}
        names = [{"san_type": "DNS", "matcher": {"exact": host}}]
        context = {"validation_context": {**known, "match_typed_subject_alt_names": names}}
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": _TLS, "sni": host, "common_tls_context": context},
        }
    return cluster
