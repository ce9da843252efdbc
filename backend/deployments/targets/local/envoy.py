"""Envoy's configuration as data: bootstrap, clusters and routes. Pure functions, no files and no network.

Every version has three clusters:

``<environment>/<model>/v<version>``
    its own model servers, with active health checks. Mirrored traffic goes here.
``<environment>/<model>/v<version>/pinned``
    the same servers, for requests that name the version in a header. They have figures of their own: whoever picks a
    version by hand must not decide about its rollout.
``<environment>/<model>/v<version>/failover``
    an aggregate: the version itself first, then the other live versions of the route. Weighted traffic goes here, so
    a version that dies hands its share over at once, also while the backend that moves weights is down itself.

What is counted where (measured with Envoy 1.40, killing a version under load): response codes and
``upstream_rq_time`` are counted in the cluster that the *route* named, so the ``/failover`` cluster of a dead version
looks healthy: others answer for it. The *hosts'* ``rq_success`` and ``rq_error`` (admin ``/clusters``) are counted where
a request was really sent, and they count a refused connection, a reset and a timeout as an error even when a retry
elsewhere saved the request. Those are the honest figures of a version, and the ones that samples are made of. Latency
is only to be had per cluster, so while a version is dead its histogram is that of whoever stands in for it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from backend.deployments.targets.base import ExperimentRoute, VersionKey
from backend.deployments.targets.local import envoy_tracing

Json = dict[str, Any]

LISTENER = "ingress"
ROUTES = "models"
READY_PATH = "/v2/health/ready"
VERSION_HEADER = "x-model-version"
EXPERIMENT_HEADER, UNIT_HEADER = "x-experiment", "x-experiment-unit"
"""What servers are told with each request of an experiment; as :mod:`mlplatform.serving.experiments` reads it."""

HEALTH_CHECK_INTERVAL = "1s"
_TIMEOUT_GRACE = timedelta(milliseconds=500)
"""The model server's own 504 says more than Envoy's, so it gets the first word."""
_KEEP_ALIVE = "4s"
"""Shorter than any server's keep-alive (uvicorn's own is 5 s), or Envoy would send on a connection just closed."""

_API = "type.googleapis.com/envoy"
_CLUSTER = f"{_API}.config.cluster.v3.Cluster"
_ROUTE_CONFIGURATION = f"{_API}.config.route.v3.RouteConfiguration"
_AGGREGATE = f"{_API}.extensions.clusters.aggregate.v3.ClusterConfig"
_HTTP_OPTIONS = f"{_API}.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECTION_MANAGER = f"{_API}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = f"{_API}.extensions.filters.http.router.v3.Router"
_MOST_CONNECTIONS = f"{_API}.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
_OTHER_PRIORITIES = f"{_API}.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"


@dataclass(frozen=True)
class TrafficPlan:
    """The traffic of one model with everything decided: only versions that have servers, weights that sum to 100.

    ``ports`` are the servers of each version; ``weights`` may be empty, then every request is answered with 503.
    """

    environment: str
    model: str
    ports: Mapping[int, tuple[int, ...]]
    weights: tuple[tuple[int, int], ...]
    mirror: tuple[int, int] | None
    standby: tuple[int, ...]
    request_timeout: timedelta
    experiment: ExperimentRoute | None = None

    def key(self, version: int) -> VersionKey:
        """Return the key of one of its versions."""
        return VersionKey(self.environment, self.model, version)


def cluster_name(key: VersionKey) -> str:
    """Name of the cluster that holds the version's own servers."""
    return f"{key.environment}/{key.model}/v{key.version}"


def pinned_name(key: VersionKey) -> str:
    """Name of the cluster which requests that name the version go to."""
    return f"{cluster_name(key)}/pinned"


def failover_name(key: VersionKey) -> str:
    """Name of the cluster which weighted traffic goes to: the version, then whoever can stand in for it."""
    return f"{cluster_name(key)}/failover"


def seconds(duration: timedelta) -> str:
    """Write a duration as protobuf's JSON form wants it."""
    return f"{duration.total_seconds():.3f}s"


def versioned(resources: list[Json]) -> Json:
    """Wrap resources as a discovery response whose version is the hash of its content."""
    digest = hashlib.sha256(json.dumps(resources, sort_keys=True).encode()).hexdigest()[:16]
    return {"version_info": digest, "resources": resources}


def failover_order(version: int, others: Sequence[int]) -> list[int]:
    """Say who stands in for a version: older ones first, the newest of them before the rest, then newer ones.

    The order hangs on version numbers alone, so that moving weights never rebuilds a cluster.
    """
    older = sorted((other for other in others if other < version), reverse=True)
    newer = sorted(other for other in others if other > version)
    return [version, *older, *newer]


def clusters(plans: Sequence[TrafficPlan]) -> list[Json]:
    """Return all clusters of the plans, in a fixed order."""
    found: list[Json] = []
    for plan in sorted(plans, key=lambda plan: (plan.environment, plan.model)):
        versions = sorted(version for version, ports in plan.ports.items() if ports)
        shadow = {plan.mirror[0]} if plan.mirror else set()
        routed = [version for version in versions if version in dict(plan.weights) or version in plan.standby]
        for version in versions:
            found.append(_servers(plan.key(version), plan.ports[version]))
            found.append(_pinned_servers(plan.key(version), plan.ports[version]))
        for version in routed:
            stand_ins = [other for other in routed if other != version and other not in shadow]
            order = [plan.key(other) for other in failover_order(version, stand_ins)]
            found.append(_failover(plan.key(version), order))
    return found


def _servers(key: VersionKey, ports: Sequence[int]) -> Json:
    name = cluster_name(key)
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
        for port in sorted(ports)
    ]
    return {
        "@type": _CLUSTER,
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "circuit_breakers": _circuit_breakers(),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _HTTP_OPTIONS,
                "common_http_protocol_options": {"idle_timeout": _KEEP_ALIVE},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "health_checks": [
            {
                "interval": HEALTH_CHECK_INTERVAL,
                # Envoy checks a cluster without traffic only once a minute unless told otherwise.
                "no_traffic_interval": HEALTH_CHECK_INTERVAL,
                "timeout": "2s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": READY_PATH, "host": key.model},
            }
        ],
    }


def _pinned_servers(key: VersionKey, ports: Sequence[int]) -> Json:
    servers, name = _servers(key, ports), pinned_name(key)
    del servers["health_checks"]  # who names a version wants its own answer, whatever its health
    return {**servers, "name": name, "load_assignment": {**servers["load_assignment"], "cluster_name": name}}


def _failover(key: VersionKey, order: Sequence[VersionKey]) -> Json:
    return {
        "@type": _CLUSTER,
        "name": failover_name(key),
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {"@type": _AGGREGATE, "clusters": [cluster_name(other) for other in order]},
        },
        "circuit_breakers": _circuit_breakers(),
    }


def _circuit_breakers() -> Json:
    # max_retries is 3 by default: when a version dies under load, nearly all of its requests would then fail.
    return {
        "thresholds": [
            {"max_connections": 1024, "max_pending_requests": 1024, "max_requests": 1024, "max_retries": 1024}
        ]
    }


def route_configuration(plans: Sequence[TrafficPlan]) -> Json:
    """Return the whole route table; what no plan claims is answered with a 404 problem document."""
    routes: list[Json] = []
    for plan in sorted(plans, key=lambda plan: (plan.environment, plan.model)):
        routes += _pinned(plan)
        routes += _experiment(plan)
        routes.append(_weighted(plan))
    routes.append(
        {
            "match": {"prefix": "/"},
            "direct_response": _problem(
                404, "model-not-found", "Model not found", "No model is deployed under this path."
            ),
        }
    )
    return {
        "@type": _ROUTE_CONFIGURATION,
        "name": ROUTES,
        "virtual_hosts": [{"name": ROUTES, "domains": ["*"], "routes": routes}],
        # A route may be known a moment before its cluster is: 503 for that moment, never a rejected update.
        "validate_clusters": False,
    }


def _prefix(plan: TrafficPlan) -> str:
    return f"/{plan.environment}/{plan.model}/"


def _pinned(plan: TrafficPlan) -> list[Json]:
    routes: list[Json] = [
        {
            "match": {
                "prefix": _prefix(plan),
                "headers": [{"name": VERSION_HEADER, "string_match": {"exact": str(version)}}],
            },
            "route": {**_common(plan), "cluster": pinned_name(plan.key(version))},
            **_unclaimed(),
        }
        for version in sorted(plan.ports)
        if plan.ports[version]
    ]
    routes.append(
        {
            "match": {
                "prefix": _prefix(plan),
                "headers": [{"name": VERSION_HEADER, "present_match": True}],
            },
            "direct_response": _problem(
                404, "version-not-running", "Version not running", f"{VERSION_HEADER} names a version that is not up."
            ),
        }
    )
    return routes


def _experiment(plan: TrafficPlan) -> list[Json]:
    """Return the routes of the requests that take part in an experiment; all others meet the route behind these."""
    one = plan.experiment
    if one is None:
        return []
    if one.key_header is None:
        return [_mirrored(plan, one)]
    return (
        [_assigned(plan, one, one.key_header), _unassigned(plan, one)] if one.challenger in dict(plan.weights) else []
    )


def _mirrored(plan: TrafficPlan, one: ExperimentRoute) -> Json:
    # The share is drawn by the match rather than by the mirror policy: so the primary's server, too, knows whether there is
    # a second answer to compare its own with.
    whole = _weighted(replace(plan, mirror=(one.challenger, 100)))
    fraction = {"default_value": {"numerator": one.percent, "denominator": "HUNDRED"}}
    return {**whole, "match": {**whole["match"], "runtime_fraction": fraction}, **_told({EXPERIMENT_HEADER: one.id})}


def _assigned(plan: TrafficPlan, one: ExperimentRoute, key: str) -> Json:
    whole = _weighted(plan)
    action = whole["route"]
    # Versions in a fixed order, and the experiment's id in front of what is hashed: the same key meets the same version as
    # long as the experiment lasts, and another one perhaps in the next.
    action["weighted_clusters"]["clusters"].sort(key=lambda cluster: str(cluster["name"]))
    action["weighted_clusters"]["use_hash_policy"] = True
    salted = {"pattern": {"regex": "^(.*)$"}, "substitution": f"{one.id}:\\1"}
    action["hash_policy"] = [{"header": {"header_name": key, "regex_rewrite": salted}, "terminal": True}]
    present = {"name": key, "string_match": {"safe_regex": {"regex": ".+"}}}
    told = _told({EXPERIMENT_HEADER: one.id, UNIT_HEADER: f"%REQ({key})%"})
    return {**whole, "match": {**whole["match"], "headers": [present]}, **told}


def _unassigned(plan: TrafficPlan, one: ExperimentRoute) -> Json:
    others = {version: weight for version, weight in plan.weights if version != one.challenger}
    largest = max(others, key=lambda version: others[version], default=one.challenger)
    whole = _weighted(replace(plan, weights=((largest, 100),)))
    return {**whole, **_told({EXPERIMENT_HEADER: one.id})}


def _told(headers: Mapping[str, str]) -> Json:
    """Set headers of a request, whatever its sender claimed."""
    return {
        "request_headers_to_add": [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in headers.items()
        ],
        "request_headers_to_remove": [name for name in (EXPERIMENT_HEADER, UNIT_HEADER) if name not in headers],
    }


def _unclaimed() -> Json:
    """Take away what only the proxy may say."""
    return {"request_headers_to_remove": [EXPERIMENT_HEADER, UNIT_HEADER]}


def _weighted(plan: TrafficPlan) -> Json:
    match = {"prefix": _prefix(plan)}
    if not plan.weights:
        return {
            "match": match,
            "direct_response": _problem(
                503, "no-version-ready", "No version ready", "No version of this model is running at the moment."
            ),
        }
    action: Json = {
        **_common(plan),
        "weighted_clusters": {
            "clusters": [
                {"name": failover_name(plan.key(version)), "weight": weight} for version, weight in plan.weights
            ]
        },
    }
    if plan.mirror is not None:
        version, percent = plan.mirror
        action["request_mirror_policies"] = [
            {
                "cluster": cluster_name(plan.key(version)),
                "runtime_fraction": {"default_value": {"numerator": percent, "denominator": "HUNDRED"}},
                "disable_shadow_host_suffix_append": True,
            }
        ]
    return {"match": match, "route": action, **_unclaimed()}


def _common(plan: TrafficPlan) -> Json:
    return {
        "prefix_rewrite": "/",
        "timeout": seconds(plan.request_timeout + _TIMEOUT_GRACE),
        "retry_policy": {
            # Only what can't have reached a model: a request that kills one server must not be handed to the next.
            "retry_on": "connect-failure,refused-stream,reset-before-request",
            "num_retries": 2,
            "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.050s"},
            "retry_priority": {
                "name": "envoy.retry_priorities.previous_priorities",
                "typed_config": {"@type": _OTHER_PRIORITIES, "update_frequency": 1},
            },
        },
    }


def _problem(status: int, slug: str, title: str, detail: str) -> Json:
    document = {"type": f"urn:ml-platform:problem:{slug}", "title": title, "status": status, "detail": detail}
    return {"status": status, "body": {"inline_string": json.dumps(document)}}


def _local_replies() -> Json:
    """Make Envoy's own answers problem documents too; those of ``direct_response`` are so already."""
    document = {
        "type": "urn:ml-platform:problem:serving-unavailable",
        "title": "Serving unavailable",
        "status": "%RESPONSE_CODE%",
        "detail": "%LOCAL_REPLY_BODY%",
        "flags": "%RESPONSE_FLAGS%",
    }
    # Response flags are set only where Envoy itself failed to get an answer; direct responses have "-".
    flags = ["UH", "UF", "UO", "NR", "UT", "UC", "LR", "UR", "DC", "IH", "SI", "DPE", "UPE", "NC", "DT", "OM", "URX"]
    return {
        "mappers": [
            {
                "filter": {"response_flag_filter": {"flags": flags}},
                "body_format_override": {"json_format": document, "content_type": "application/problem+json"},
            }
        ],
        "body_format": {
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"},
            "content_type": "application/problem+json",
        },
    }


def histogram_buckets(start: float = 0.5, end: float = 60_000.0, step: float = 1.2) -> list[float]:
    """Bucket bounds in milliseconds for Prometheus, rising by a fixed ratio: percentiles are judged by them."""
    bounds: list[float] = []
    bound = start
    while bound < end:
        bounds.append(float(f"{bound:.3g}"))
        bound *= step
    return [*bounds, end]


def bootstrap(
    *, host: str, port: int, admin_port: int, xds: Path, collector: str | None = None, sample_ratio: float = 0.0
) -> Json:
    """Return the static part: listener, admin interface on loopback, and where the rest is read from."""
    known = [envoy_tracing.collector(collector)] if collector is not None else []
    tracing = {"tracing": envoy_tracing.tracing(collector, sample_ratio)} if collector is not None else {}
    return {
        "node": {"id": "local", "cluster": "ml-platform"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}},
        # Histograms reach the admin interface only at a flush; the rollout analysis reads them twice a second.
        "stats_flush_interval": "0.250s",
        "stats_config": {
            "histogram_bucket_settings": [{"match": {"prefix": "cluster."}, "buckets": histogram_buckets()}]
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {"@type": _MOST_CONNECTIONS, "max_active_downstream_connections": 20_000},
                }
            ]
        },
        "layered_runtime": envoy_tracing.runtime(),
        "dynamic_resources": {"cds_config": _from_file(xds, "cds.json")},
        "static_resources": {"listeners": [_listener(host, port, xds, tracing)], "clusters": known},
    }


def _from_file(xds: Path, name: str) -> Json:
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(xds / name), "watched_directory": {"path": str(xds)}},
    }


def _listener(host: str, port: int, xds: Path, tracing: Json) -> Json:
    manager = {
        "@type": _CONNECTION_MANAGER,
        "stat_prefix": LISTENER,
        "rds": {"route_config_name": ROUTES, "config_source": _from_file(xds, "rds.json")},
        "server_header_transformation": "PASS_THROUGH",
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {"idle_timeout": "300s"},
        "request_headers_timeout": "10s",
        "stream_idle_timeout": "300s",
        "local_reply_config": _local_replies(),
        **tracing,
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    return {
        "name": LISTENER,
        "address": {"socket_address": {"address": host, "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
