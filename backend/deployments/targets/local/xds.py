"""Hands configuration to Envoy: files replaced by atomic rename, in the order in which traffic stays safe."""

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from backend.deployments.targets.base import TargetUnavailable
from backend.deployments.targets.local.admin import CDS_VERSION, WARMING, EnvoyAdmin
from backend.deployments.targets.local.envoy import (
    LISTENER,
    ROUTES,
    Json,
    TrafficPlan,
    clusters,
    route_configuration,
    versioned,
)

_ACKNOWLEDGE_SECONDS = 5.0
_POLL_SECONDS = 0.005
_RDS_VERSION = f"http.{LISTENER}.rds.{ROUTES}.version_text"

log = logging.getLogger(__name__)


def write_json(path: Path, document: Json) -> None:
    """Replace a file in one step, so that a reader sees the old content or the new one and nothing between."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document, indent=1), encoding="utf-8")
    temporary.replace(path)


class XdsFiles:
    """The folder that Envoy watches. One caller of :meth:`apply` at a time."""

    def __init__(self, folder: Path, admin: EnvoyAdmin) -> None:
        self._folder = folder
        self._admin = admin

    def prepare(self) -> None:
        """Make sure that there is something for Envoy to start with."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._path("cds").exists():
            self._write("cds", [])
        if not self._path("rds").exists():
            self._write("rds", [route_configuration([])])

    def apply(self, plans: Sequence[TrafficPlan]) -> None:
        """Make the plans the whole traffic.

        New clusters are there before a route names them, and clusters leave only after the last route has let go of
        them. When Envoy is down the files are written all the same: it comes up with them.

        Raises:
            TargetUnavailable: Envoy is down, refused the update, or took longer than 5 s.
        """
        self.prepare()
        wanted = {cluster["name"]: cluster for cluster in clusters(plans)}
        present = {cluster["name"]: cluster for cluster in self._read("cds")}
        leaving = [cluster for name, cluster in present.items() if name not in wanted]
        deadline = time.monotonic() + _ACKNOWLEDGE_SECONDS
        failure: TargetUnavailable | None = None
        try:
            self._write("cds", [*wanted.values(), *leaving])
            self._await("clusters", self._clusters_active, deadline)
        except TargetUnavailable as fault:
            if self._alive():
                raise
            failure = fault
        self._write("rds", [route_configuration(plans)])
        if failure is None:
            self._await("routes", self._routes_active, deadline)
        if leaving:
            self._write("cds", list(wanted.values()))
        if failure is not None:
            raise failure

    def acknowledged(self) -> bool:
        """Tell whether Envoy runs on what the files say."""
        try:
            return self._clusters_active() and self._routes_active()
        except TargetUnavailable:
            return False

    def _clusters_active(self) -> bool:
        stats = self._admin.stats(r"^cluster_manager\.(cds\.version_text|warming_clusters)$")
        return stats.get(CDS_VERSION) == self._version("cds") and stats.get(WARMING) == 0

    def _routes_active(self) -> bool:
        stats = self._admin.stats(rf"^http\.{LISTENER}\.rds\.{ROUTES}\.version_text$")
        return stats.get(_RDS_VERSION) == self._version("rds")

    def _await(self, what: str, done: Callable[[], bool], deadline: float) -> None:
        while not done():
            if time.monotonic() > deadline:
                kind = "dynamic_active_clusters" if what == "clusters" else "dynamic_route_configs"
                reason = self._admin.rejection(kind) or f"no acknowledgement within {_ACKNOWLEDGE_SECONDS:g} s"
                raise TargetUnavailable(f"Envoy did not take over the new {what}: {reason}")
            time.sleep(_POLL_SECONDS)

    def _alive(self) -> bool:
        try:
            self._admin.get("/ready")
        except TargetUnavailable:
            return False
        return True

    def _path(self, kind: str) -> Path:
        return self._folder / f"{kind}.json"

    def _read(self, kind: str) -> list[Json]:
        resources: list[Json] = json.loads(self._path(kind).read_text(encoding="utf-8"))["resources"]
        return resources

    def _version(self, kind: str) -> str:
        version: str = json.loads(self._path(kind).read_text(encoding="utf-8"))["version_info"]
        return version

    def _write(self, kind: str, resources: list[Json]) -> None:
        document = versioned(sorted(resources, key=lambda resource: str(resource["name"])))
        path = self._path(kind)
        if path.exists() and json.loads(path.read_text(encoding="utf-8")) == document:
            return
        write_json(path, document)
