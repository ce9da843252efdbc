"""A backend with batch models: real models on real lakes, in processes of their own."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.audit.models import AuditRow
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.core.container import Services
from backend.core.ids import new_id
from backend.deployments.engine import RolloutEngine
from backend.deployments.models import Deployment, Kind, Outcome, Phase, Traffic, TrafficState
from backend.deployments.targets.batch import BatchTarget
from backend.deployments.targets.by_type import TargetsByType
from backend.local.folders import Folders
from mlplatform.gates.result import Gate
from mlplatform.spec.model import ModelType
from tests.backend.bytecode import share_bytecode
from tests.backend.conftest import Backend, Someone, make_settings
from tests.backend.deployments.scripted import ScriptedTarget
from tests.backend.versions import put_version
from tests.conftest import SetClock
from tests.waiting import wait_until

OPEN = {"policy": {"require": {gate.value: None for gate in Gate}}}
MODEL = "orders"
SPEC: dict[str, Any] = {
    "name": MODEL,
    "type": "batch",
    "owner": "group:default/risk",
    "costCentre": "CC-42",
    "data": [
        {
            "name": "orders",
            "uri": "shop://orders",
            "role": "evaluation",
            "classification": "public",
            "load": "orders.data:load",
        }
    ],
    "training": {"entrypoint": "orders.train:train"},
    "schema": {
        "inputs": [{"name": "x", "type": "double", "minimum": 0}],
        "outputs": [{"name": "y", "type": "double"}],
    },
    "validation": {
        "evaluator": "regressor",
        "dataset": "orders",
        "target": "y",
        "thresholds": [{"metric": "root_mean_squared_error", "maximum": 1}],
    },
}
BATCH: dict[str, Any] = {"input": "shop/orders", "output": "shop/scores", "keys": ["id"], "maxRejected": 0.5}
BODY = "def predict(self, context, model_input, params=None):\n    return model_input['x'] * {factor}"


def day(number: int) -> date:
    """Days from 2013-01-01 on."""
    return date(2013, 1, 1) + timedelta(days=number)


@pytest.fixture(scope="session")
def python_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make MLflow models whose class has the given body; each once."""
    from tests.mlplatform.serving.conftest import save_scripted

    made: dict[str, Path] = {}

    def make(body: str) -> Path:
        if body not in made:
            made[body] = save_scripted(tmp_path_factory.mktemp("model"), body, example=None).folder
        return made[body]

    return make


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Fast loops, an environment that admits everything, and runs in this very environment."""
    return batch_settings(settings.home, settings.database.url)


def batch_settings(home: Path, database_url: str | None, **sections: Any) -> Settings:
    import sys

    share_bytecode(home)
    return make_settings(
        home,
        database_url,
        environments={"lab": OPEN, "production": {"approval": {"required": True}}},
        rollouts={"pollInterval": "0.05s", "reconcileInterval": "0.1s"},
        serving={"python": sys.executable},
        **{"batch": {"retryDelay": "0s", "parallelRuns": 2}, **sections},
    )


@dataclass
class Shop:
    """A platform with a batch model, its lake, and what tests ask of them."""

    services: Services
    model: Callable[[str], Path]

    @property
    def lake(self) -> Path:
        return Path(self.services.settings.lake_of("lab"))

    def write(self, *numbers: int, rows: int = 3, value: float = 1.0) -> None:
        """Write input for days."""
        for number in numbers:
            folder = self.lake / "shop/orders" / f"date={day(number)}"
            folder.mkdir(parents=True, exist_ok=True)
            frame = pl.DataFrame({"id": list(range(rows)), "x": [value] * rows})
            frame.write_parquet(folder / "orders.parquet")

    def read(self, number: int) -> list[tuple[int, float, int]]:
        folder = self.lake / "shop/scores" / f"date={day(number)}"
        return pl.read_parquet(folder / "*.parquet", hive_partitioning=False).rows() if folder.exists() else []

    def add_version(
        self,
        number: int,
        body: str | None = None,
        *,
        batch: dict[str, Any] | None = None,
        reference: pd.DataFrame | None = None,
        **spec: Any,
    ) -> str:
        """Put a registered version into the tables and its artefact into the store."""
        document = {**SPEC, **spec, "batch": {**BATCH, **(batch or {})}}
        return put_version(self.services, number, document, self.model(body or BODY.format(factor=number)), reference)

    def make_live(self, version: int) -> None:
        """Have a version live, as after a rollout."""
        now = self.services.clock.now()
        with self.services.database.write() as session:
            for row in session.query(Traffic).all():
                session.delete(row)
            session.flush()
            session.add(
                Traffic(
                    environment="lab", model=MODEL, version=version, weight=100, mirror=0, state=TrafficState.LIVE,
                    replicas=1, failed_over=False,
                )
            )  # fmt: skip
            session.add(
                Deployment(
                    id=new_id(), kind=Kind.ROLLOUT, model=MODEL, version=version, environment="lab", digest="d",
                    phase=Phase.COMPLETED, outcome=Outcome.PROMOTED, requested_by="user:default/ada", requested_at=now,
                    requirements=[],
                )
            )  # fmt: skip
        self.services.runtime.wake()

    def events(self, *types: str) -> list[dict[str, Any]]:
        """The audit events of these types (after ``ml-platform.batch.``), oldest first; all of the domain without."""
        with self.services.database.read() as session:
            rows = session.query(AuditRow).order_by(AuditRow.seq).all()
        events = [json.loads(row.event) for row in rows]
        wanted = {f"ml-platform.batch.{one}" for one in types}
        mine = [one for one in events if one["type"].startswith("ml-platform.batch.")]
        return [one for one in mine if not types or one["type"] in wanted]


@dataclass
class Running(Shop):
    """A :class:`Shop` whose backend runs, asked over HTTP as ada."""

    backend: Backend
    ada: Someone

    def request(self, number: int, **body: Any) -> dict[str, Any]:
        answer = self.ada.post("/batch/runs", {"environment": "lab", "model": MODEL, "day": str(day(number)), **body})
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def run(self, id: str) -> dict[str, Any]:
        document: dict[str, Any] = self.ada.get(f"/batch/runs/{id}").json()
        return document

    def runs(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.ada.get("/batch/runs", limit=200, **query).json()["items"]
        return items

    def until(self, id: str, *states: str, seconds: float = 180) -> dict[str, Any]:
        """Wait for a run to come to a state; to its end without any."""
        wanted = states or ("succeeded", "unchanged", "failed", "cancelled")
        wait_until(lambda: self.run(id)["state"] in wanted, seconds, lambda: json.dumps(self.run(id), indent=1))
        return self.run(id)

    def backfill(self, first: int, last: int, **body: Any) -> dict[str, Any]:
        answer = self.ada.post("/batch/backfills", self.range(first, last, reason="to try it out", **body))
        assert answer.status_code == 201, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def range(self, first: int, last: int, **body: Any) -> dict[str, Any]:
        return {"environment": "lab", "model": MODEL, "from": str(day(first)), "to": str(day(last)), **body}

    def filled(self, id: str, seconds: float = 240) -> dict[str, Any]:
        """Wait for the end of a backfill."""

        def state() -> dict[str, Any]:
            document: dict[str, Any] = self.ada.get(f"/batch/backfills/{id}").json()
            return document

        wait_until(lambda: state()["state"] != "running", seconds, lambda: json.dumps(state(), indent=1))
        return state()

    def deploy(self, version: int, seconds: float = 240) -> dict[str, Any]:
        answer = self.ada.post("/deployments", {"model": MODEL, "version": version, "environment": "lab"})
        assert answer.status_code == 201, answer.text
        return self.deployed(answer.json()["id"], seconds)

    def deployed(self, id: str, seconds: float = 240) -> dict[str, Any]:
        def deployment() -> dict[str, Any]:
            document: dict[str, Any] = self.ada.get(f"/deployments/{id}").json()
            return document

        wait_until(lambda: deployment()["phase"] == "completed", seconds, lambda: json.dumps(deployment(), indent=1))
        return deployment()


@pytest.fixture
def clock() -> SetClock | SystemClock:
    """The real one; tests of schedules replace it."""
    return SystemClock()


@contextmanager
def running(settings: Settings, model: Callable[[str], Path], folder: Path, clock: Any) -> Iterator[Running]:
    """Run the app; what serves requests is played, since nothing here does."""
    app = create_app(settings, clock=clock)
    services: Services = app.state.services
    batch = BatchTarget(
        Folders(settings.home), services.database, services.batch_work.jobs, services.batch, services.deployments
    )
    target = TargetsByType(
        ScriptedTarget(folder / "target"), {ModelType.BATCH: batch}, lambda _model, _version: "batch"
    )
    services.engine = RolloutEngine(services, target)
    with TestClient(app, raise_server_exceptions=False) as http:
        backend = Backend(http, services)
        yield Running(services, model, backend, backend.someone("ada"))


@pytest.fixture
def shop(settings: Settings, python_model: Callable[[str], Path], tmp_path: Path, clock: Any) -> Iterator[Running]:
    """A running platform with version 1 live in the environment lab."""
    with running(settings, python_model, tmp_path, clock) as made:
        made.add_version(1)
        made.make_live(1)
        yield made
