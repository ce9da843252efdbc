"""A backend that watches a scripted target, on a clock that tests move."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.core.config import Settings
from backend.core.container import Services
from backend.deployments.engine import RolloutEngine
from backend.deployments.targets.base import Sample, VersionKey
from backend.observability.work import Watch

from ..conftest import Backend, Someone, make_settings
from ..deployments.conftest import OPEN, ROLLOUT, add_version
from ..deployments.scripted import EDGES, ScriptedTarget, cumulative

SLOS: list[dict[str, Any]] = [
    {"name": "availability", "indicator": "availability", "objective": 99.9},
    {"name": "latency", "indicator": "latency", "objective": 99, "threshold": "0.5s"},
]


class Hand:
    """Counters that a test turns by hand."""

    def __init__(self) -> None:
        self.requests: dict[VersionKey, list[int]] = {}

    def serve(self, version: int, requests: int, *, errors: int = 0, slow: int = 0, environment: str = "lab") -> None:
        one = self.requests.setdefault(VersionKey(environment, "wine", version), [0, 0, 0])
        for place, more in enumerate((requests, errors, slow)):
            one[place] += more

    def samples(self) -> list[Sample]:
        found = []
        for key, (requests, errors, slow) in sorted(self.requests.items()):
            buckets = [0] * len(EDGES)
            buckets[EDGES.index(5.0)], buckets[EDGES.index(5000.0)] = requests - slow, slow
            found.append(Sample(key, requests, errors, cumulative(buckets)))
        return found


@dataclass
class Ward:
    """A backend whose watch is moved by hand: nothing is sampled or judged but what a test says."""

    backend: Backend
    services: Services
    target: ScriptedTarget
    ada: Someone
    watch: Watch
    hand: Hand
    at: float

    def pass_minutes(self, minutes: int, version: int, **figures: int) -> None:
        """Let minutes pass, with so many requests in each."""
        for _ in range(minutes):
            self.at += 60
            self.hand.serve(version, **figures)
            self.watch.evaluation.sample(self.hand.samples(), self.at)

    def judge(self) -> None:
        self.watch.evaluate(self.at)

    def slos(self, model: str = "wine") -> dict[str, dict[str, Any]]:
        answer = self.ada.get(f"/observability/models/{model}/slos")
        assert answer.status_code == 200, answer.text
        return {one["slo"]: one for one in answer.json()["slos"]}

    def incidents(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.ada.get("/observability/incidents", **query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def incident(self, id: str) -> dict[str, Any]:
        answer = self.ada.get(f"/observability/incidents/{id}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def deploy(self, version: int, environment: str = "lab") -> dict[str, Any]:
        from tests.waiting import wait_until

        answer = self.ada.post("/deployments", {"model": "wine", "version": version, "environment": environment})
        assert answer.status_code == 201, answer.text
        id = answer.json()["id"]
        wait_until(lambda: self.ada.get(f"/deployments/{id}").json()["phase"] == "completed", 20)
        document: dict[str, Any] = self.ada.get(f"/deployments/{id}").json()
        return document


class Still(Watch):
    """A watch that looks when a test says so."""

    def beat(self, *, changed: bool) -> None:
        """Do nothing."""


@pytest.fixture
def observability() -> dict[str, Any]:
    """More settings of a test's platform."""
    return {}


@pytest.fixture
def notifications() -> dict[str, Any]:
    """Who is told."""
    return {}


@pytest.fixture
def settings(settings: Settings, observability: dict[str, Any], notifications: dict[str, Any]) -> Settings:
    """Fast loops, an environment "lab" that admits everything, and one in which budgets count."""
    return make_settings(
        settings.home,
        settings.database.url,
        environments={
            "lab": OPEN,
            "careful": {**OPEN, "policy": {**OPEN["policy"], "errorBudget": True}},
            "production": {**OPEN, "approval": {"required": True, "notAuthor": False}},
        },
        rollouts={"pollInterval": "0.05s", "reconcileInterval": "0.1s"},
        observability=observability,
        notifications=notifications,
    )


def started(settings: Settings, folder: Path) -> tuple[Any, Services, ScriptedTarget]:
    app = create_app(settings)
    services = app.state.services
    target = ScriptedTarget(folder)
    services.engine = RolloutEngine(services, target)
    services.watch = Still(services)
    return app, services, target


@pytest.fixture
def ward(settings: Settings, tmp_path: Path) -> Iterator[Ward]:
    """The app over HTTP, with two versions registered that have objectives."""
    app, services, target = started(settings, tmp_path / "target")
    rollout = {**ROLLOUT, "steps": [100], "interval": "0.1s"}
    for version in (1, 2):
        add_version(services, version, rollout=rollout, slos=SLOS)
    with TestClient(app, raise_server_exceptions=False) as http:
        backend = Backend(http, services)
        at = services.clock.now().timestamp() - 7200
        yield Ward(backend, services, target, backend.someone("ada"), services.watch, Hand(), at)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


__all__ = ["SLOS", "Hand", "Still", "Ward", "moment", "started"]
