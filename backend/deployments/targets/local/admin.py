"""Envoy's admin interface: has it taken a configuration over, and what has it counted."""

import http.client
import json
import threading
from typing import Any
from urllib.parse import quote

from backend.deployments.targets.base import TargetUnavailable

_TIMEOUT_SECONDS = 2.0
CDS_VERSION = "cluster_manager.cds.version_text"
WARMING = "cluster_manager.warming_clusters"


class EnvoyAdmin:
    """Reads from the admin port over one kept connection; safe to share between threads."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> bytes:
        """Return the body of an admin page.

        Raises:
            TargetUnavailable: nothing answers at the admin port.
        """
        with self._lock:
            for attempt in (1, 2):  # a kept connection may have died with the Envoy that had it
                connection = self._connection or http.client.HTTPConnection(
                    "127.0.0.1", self._port, timeout=_TIMEOUT_SECONDS
                )
                fresh = self._connection is None
                try:
                    connection.request("GET", path)
                    response = connection.getresponse()
                    body = response.read()
                except (OSError, http.client.HTTPException) as fault:
                    connection.close()
                    self._connection = None
                    if fresh or attempt == 2:
                        raise TargetUnavailable(
                            f"Envoy does not answer at its admin port {self._port} ({fault or type(fault).__name__})",
                            fix="Start it with `platform up`, or look into logs/envoy.log.",
                        ) from fault
                    continue
                self._connection = connection
                return body
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the kept connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def stats(self, pattern: str) -> dict[str, Any]:
        """Return counters, gauges and texts whose name matches the regular expression."""
        document = json.loads(self.get(f"/stats?format=json&filter={quote(pattern)}"))
        return {stat["name"]: stat["value"] for stat in document["stats"] if "name" in stat}

    def hosts(self) -> dict[str, list[dict[str, Any]]]:
        """Return the hosts of every active cluster, with their own counters."""
        document = json.loads(self.get("/clusters?format=json"))
        return {cluster["name"]: cluster.get("host_statuses", []) for cluster in document.get("cluster_statuses", [])}

    def histograms(self, pattern: str) -> dict[str, list[dict[str, Any]]]:
        """Return histograms with the finest bins that Envoy keeps, cumulative since it started."""
        path = f"/stats?format=json&histogram_buckets=detailed&filter={quote(pattern)}"
        document = json.loads(self.get(path))
        found: dict[str, list[dict[str, Any]]] = {}
        for stat in document["stats"]:
            for detail in stat.get("histograms", {}).get("details", []):
                found[detail["name"]] = detail.get("totals", [])
        return found

    def rejection(self, resource: str) -> str | None:
        """Return why Envoy refused the last update of a resource type, if it did."""
        document = json.loads(self.get(f"/config_dump?resource={quote(resource)}"))
        for config in document.get("configs", []):
            details = config.get("error_state", {}).get("details")
            if details:
                return str(details)
        return None
