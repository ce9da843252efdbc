"""A backend whose rollouts run on a scripted target."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.audit.models import AuditRow
from backend.core.config import Settings
from backend.core.container import Services
from backend.deployments.engine import RolloutEngine
from backend.identity.principal import Principal, PrincipalKind
from backend.registry.models import ModelRow, VersionRow
from mlplatform.attest.digest import artefact_digest
from mlplatform.gates.result import Gate
from tests.waiting import wait_until

from ..conftest import SPEC, Backend, Someone, make_settings
from .scripted import ScriptedTarget

OPEN: dict[str, Any] = {"policy": {"require": {gate.value: None for gate in Gate}}}
ROLLOUT: dict[str, Any] = {
    "steps": [5, 25, 50, 100],
    "interval": "0.3s",
    "keepWarm": "10m",
    "analysis": {"minRequests": 10, "latency": {"maximum": "0.5s"}},
}
PLACE = "/environments/lab/models/wine"


def person(name: str, *groups: str) -> Principal:
    """A verified caller, as the identity domain hands them on."""
    until = datetime.now(UTC) + timedelta(hours=1)
    return Principal(PrincipalKind.USER, f"user:default/{name}", frozenset(groups), "test", until)


ADA = person("ada", "group:default/risk")


def add_version(services: Services, number: int, *, rollout: dict[str, Any] | None = None, **spec: Any) -> str:
    """Put a registered version into the tables and its artefact into the store; returns the artefact's digest."""
    document = {**SPEC, "rollout": {**ROLLOUT, **(rollout or {})}, **spec}
    staging = services.registry.artefacts / f"new-{number}"
    (staging / "model").mkdir(parents=True)
    (staging / "environment").mkdir()
    (staging / "model" / "MLmodel").write_text(f"version: {number}\n")
    (staging / "environment" / "model.yaml").write_text(json.dumps(document))
    digest, bundle = artefact_digest(staging / "model"), artefact_digest(staging)
    staging.rename(services.registry.artefacts / bundle)
    now = services.clock.now()
    with services.database.write() as session:
        if session.get(ModelRow, "wine") is None:
            session.add(
                ModelRow(
                    name="wine", type="realtime", owner="group:default/risk", system=None, tier=2, cost_centre="CC-42",
                    repository="local/wine", created_at=now, created_by="user:default/ada",
                )
            )  # fmt: skip
            session.flush()
        session.add(
            VersionRow(
                model="wine", version=number, digest=digest, bundle=bundle, run_id=f"run{number}", repository="local/wine",
                commit=f"{number:040d}", lineage={"lockDigest": "1c" * 32, "specDigest": f"{number:064d}"}, metrics={},
                params={}, spec=document, created_at=now,
                created_by="user:default/ada",
            )
        )  # fmt: skip
    return digest


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Fast loops, and an environment "lab" that admits everything."""
    return make_settings(
        settings.home,
        settings.database.url,
        environments={
            "lab": OPEN,
            "staging": {},
            "production": {"approval": {"required": True}},
        },
        rollouts={"pollInterval": "0.05s", "reconcileInterval": "0.1s"},
    )


@dataclass
class Lab:
    """A running backend with a scripted target, and what tests ask of it."""

    backend: Backend
    services: Services
    target: ScriptedTarget
    ada: Someone

    def deploy(self, version: int, *, wait: bool = True, timeout: float = 20, **body: Any) -> dict[str, Any]:
        answer = self.ada.post("/deployments", {"model": "wine", "version": version, "environment": "lab", **body})
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return self.until(document["id"], "completed", timeout=timeout) if wait else document

    def deployment(self, id: str) -> dict[str, Any]:
        answer = self.ada.get(f"/deployments/{id}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def until(self, id: str, *phases: str, timeout: float = 20) -> dict[str, Any]:
        """Wait for a phase."""
        found: dict[str, Any] = {}

        def reached() -> bool:
            nonlocal found
            found = self.deployment(id)
            return found["phase"] in phases

        wait_until(reached, timeout, lambda: json.dumps(found, indent=1))
        return found

    def place(self) -> dict[str, Any]:
        document: dict[str, Any] = self.ada.get(PLACE).json()
        return document

    def events(self, *types: str) -> list[dict[str, Any]]:
        """The audit events of these types (after ``ml-platform.deployments.``), oldest first."""
        with self.services.database.read() as session:
            rows = session.query(AuditRow).order_by(AuditRow.seq).all()
        events = [json.loads(row.event) for row in rows]
        wanted = {f"ml-platform.deployments.{one}" for one in types}
        return [one for one in events if not types or one["type"] in wanted]


@pytest.fixture
def lab(settings: Settings, tmp_path: Path) -> Iterator[Lab]:
    """The app over HTTP, with two versions registered."""
    app = create_app(settings)
    services = app.state.services
    target = ScriptedTarget(tmp_path / "target")
    services.engine = RolloutEngine(services, target)
    add_version(services, 1)
    add_version(services, 2)
    with TestClient(app, raise_server_exceptions=False) as http:
        backend = Backend(http, services)
        yield Lab(backend, services, target, backend.someone("ada"))


__all__ = ["ADA", "OPEN", "PLACE", "ROLLOUT", "Lab", "add_version", "person", "replace"]
