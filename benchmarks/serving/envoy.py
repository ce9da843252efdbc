"""Envoy in front of a server, as in production: one listener a server, a static configuration."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any


def binary() -> str | None:
    beside = Path(sys.executable).with_name("envoy")
    return str(beside) if beside.exists() else shutil.which("envoy")


def command(config: Path) -> list[str]:
    return [str(binary()), "-c", str(config), "--concurrency", "1", "--log-level", "warning", "--use-dynamic-base-id"]


def write(config: Path, routes: dict[int, int]) -> None:
    """Write a configuration that listens on each key and passes on to its value."""
    document = {
        "static_resources": {
            "listeners": [_listener(port, upstream) for port, upstream in routes.items()],
            "clusters": [_cluster(upstream) for upstream in routes.values()],
        }
    }
    config.write_text(json.dumps(document))


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(port: int, upstream: int) -> dict[str, Any]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": f"to-{upstream}", "timeout": "10s"}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": f"from-{port}",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": f"from-{port}", "address": _address(port), "filter_chains": [{"filters": filters}]}


def _cluster(upstream: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(upstream)}}
    return {
        "name": f"to-{upstream}",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": f"to-{upstream}", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
