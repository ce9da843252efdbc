"""A running backend for experiments on a scripted target, and the servers' side of them."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from backend.app import create_app
from backend.audit.models import AuditRow
from backend.deployments.engine import RolloutEngine
from backend.deployments.models import Traffic, TrafficState
from mlplatform.serving.experiments import FOLDER, Recorder, Taking
from mlplatform.serving.samples import Place
from tests.backend.conftest import Backend, Someone, make_settings
from tests.backend.deployments.conftest import OPEN, add_version
from tests.backend.deployments.scripted import ScriptedTarget
from tests.waiting import wait_until

Json = dict[str, Any]
SHADOW: Json = {
    "kind": "shadow",
    "model": "wine",
    "environment": "lab",
    "version": 2,
    "percent": 50,
    "reason": "try it",
}
METRIC: Json = {"name": "clicked", "effect": 0.2}
AB: Json = {**SHADOW, "kind": "ab", "keyHeader": "X-User-Id", "metric": METRIC}


SECTIONS: Json = {
    "environments": {"lab": OPEN, "strict": {}, "production": {**OPEN, "approval": {"required": True}}},
    "rollouts": {"pollInterval": "0.05s", "reconcileInterval": "0.1s"},
    "experiments": {"lookInterval": "0.05s", "spooledAfter": "1s", "leastUnits": 20},
}


@dataclass
class Lab:
    """A running backend with version 1 live in "lab", and the servers' side of experiments."""

    backend: Backend
    target: ScriptedTarget
    ada: Someone

    def start(self, wish: Json, *, phase: str = "running", **changes: Any) -> Json:
        answer = self.ada.post("/experiments", {**wish, **changes})
        assert answer.status_code == 201, answer.text
        return self.until(answer.json()["id"], lambda one: one["phase"] == phase)

    def show(self, id: str) -> Json:
        found: Json = self.ada.get(f"/experiments/{id}").json()
        return found

    def until(self, id: str, reached: Any) -> Json:
        found: Json = {}

        def looked() -> bool:
            nonlocal found
            found = self.show(id)
            return bool(reached(found))

        wait_until(looked, 120, lambda: json.dumps(found, indent=1))
        return found

    def deploy(self, version: int) -> None:
        body = {"model": "wine", "version": version, "environment": "lab"}
        id = self.ada.post("/deployments", body).json()["id"]
        wait_until(lambda: self.ada.get(f"/deployments/{id}").json()["phase"] == "completed", 120)

    def route(self) -> Json:
        routes = self.target.state["routes"]
        return routes[0] if routes else {}

    def records(self, version: int) -> Recorder:
        folder = self.backend.services.settings.home / "samples" / FOLDER
        return Recorder(folder, Place("lab", "wine", str(version)))

    def events(self, *types: str) -> list[Json]:
        with self.backend.services.database.read() as session:
            events = [json.loads(row.event) for row in session.query(AuditRow).order_by(AuditRow.seq)]
        return [one for one in events if one["type"] in {f"ml-platform.experiments.{name}" for name in types}]


@contextmanager
def running_lab(home: Path, database_url: str | None) -> Iterator[Lab]:
    app = create_app(make_settings(home / "home", database_url, **SECTIONS))
    services = app.state.services
    target = ScriptedTarget(home / "target")
    services.engine = RolloutEngine(services, target)
    for number in (1, 2, 3):
        add_version(services, number)
    with TestClient(app, raise_server_exceptions=False) as http:
        backend = Backend(http, services)
        yield Lab(backend, target, backend.someone("ada"))


def taking(experiment: str, unit: str | None = None, request: str | None = None) -> Taking:
    return Taking(experiment, unit, request or str(uuid.uuid4()), str(uuid.uuid4()))


def answered(value: float | str) -> bytes:
    outputs = [{"name": "prediction", "datatype": "FP64", "shape": [1], "data": [value]}]
    return json.dumps({"model_name": "wine", "model_version": "1", "outputs": outputs}).encode()


def predict(lab: Lab, id: str, *, keys: int = 60) -> dict[int, list[str]]:
    """Have half of the keys meet each version; returns the predictions' ids by version."""
    ids: dict[int, list[str]] = {1: [], 2: []}
    for version in ids:
        records = lab.records(version)
        for number in range(keys // 2):
            one = taking(id, f"user-{version}-{number}")
            records.take(one, 0.01, 200, answered(1))
            ids[version].append(one.prediction)
        records.flush(10)
    lab.until(id, lambda one: one["figures"]["predictions"] >= keys)
    return ids


def outcomes(ids: list[str], value: Any) -> list[Json]:
    return [{"predictionId": id, "value": value(index) if callable(value) else value} for index, id in enumerate(ids)]


def live(lab: Lab, environment: str) -> None:
    """Write down that version 1 is live; nothing of it runs there."""
    row = Traffic(environment=environment, model="wine", version=1, weight=100, mirror=0, replicas=1, failed_over=False)
    row.state = TrafficState.LIVE
    with lab.backend.services.database.write() as session:
        session.add(row)
