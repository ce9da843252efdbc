"""The embedded Backstage as one of the platform's processes."""

import os
import sys
from pathlib import Path
from typing import Any

from backend.core.config import API_PREFIX, Settings
from backend.deployments.targets.local.supervisor import Program
from backend.deployments.targets.local.xds import write_json
from backend.local.folders import Folders
from backend.local.portal.build import PORTAL, node
from backend.local.ports import Needed

NAME = "portal"
READY = "/.backstage/health/v1/readiness"
_ENDLESS = 1_000_000
_TRANSFORM = PORTAL / "node_modules" / "@backstage" / "cli-node" / "config" / "nodeTransform.cjs"


def needed_port(settings: Settings) -> Needed:
    """Return the port that it listens on."""
    return Needed(settings.portal.host, settings.portal.port, "mlPlatform.portal.port")


def write_config(folders: Folders, settings: Settings) -> None:
    """Write what Backstage is told on top of ``app-config.yaml``."""
    folders.portal.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(folders.portal_config, derived(folders, settings))


def derived(folders: Folders, settings: Settings) -> dict[str, Any]:
    """Return the part of Backstage's configuration that follows from the platform's settings."""
    portal = settings.portal
    return {
        "app": {"baseUrl": portal.url},
        "backend": {
            "baseUrl": portal.url,
            "listen": {"host": portal.host, "port": portal.port},
            "csp": {
                # Plain HTTP on one machine; behind TLS Backstage's own default holds.
                **({} if portal.url.startswith("https:") else {"upgrade-insecure-requests": False}),
                "connect-src": ["'self'", settings.base_url],
            },
            "database": {"client": "better-sqlite3", "connection": {"directory": str(folders.portal / "databases")}},
        },
        "discovery": {"endpoints": [{"target": f"{settings.base_url}{API_PREFIX}", "plugins": ["ml-platform"]}]},
        "auth": {"environment": "production", "providers": {"ml-platform": {}}},
        "techdocs": {"publisher": {"local": {"publishDirectory": str(folders.portal / "techdocs")}}},
    }


def program(folders: Folders, configs: list[Path]) -> Program:
    """Return Backstage's backend as supervisord's program; it serves the bundle as well."""
    recording = (sys.executable, "-I", "-m", "backend.local.exec", str(folders.pids), NAME, "--")
    # TechDocs calls the `mkdocs` that it finds on PATH, and plugins of Backstage the `node`.
    path = os.pathsep.join((str(node().parent), str(Path(sys.executable).parent), "/usr/local/bin:/usr/bin:/bin"))
    settings = ("NODE_ENV=production", f"PATH={path}", "NODE_OPTIONS=--max-old-space-size=1024")
    options = [argument for config in (*configs, folders.portal_config) for argument in ("--config", str(config))]
    return Program(
        name=NAME,
        command=(
            *recording,
            "/usr/bin/env",
            *settings,
            str(node()),
            "--no-node-snapshot",
            "--require",
            str(_TRANSFORM),
            str(PORTAL / "packages" / "backend" / "src" / "index.ts"),
            *options,
        ),
        directory=PORTAL / "packages" / "backend",
        log=folders.logs / f"{NAME}.log",
        priority=700,
        start_seconds=5,
        start_retries=_ENDLESS,
        stop_seconds=15,
    )
