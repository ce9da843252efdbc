"""A platform with models, lakes, logs and samples, and the people who may delete."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.core.config import Settings
from backend.core.container import Services
from backend.core.ids import new_id
from backend.deployments.models import Deployment, Kind, Outcome, Phase, Traffic, TrafficState
from backend.privacy.samples import Sample
from mlplatform.batch.lake import open_lake, part_name
from mlplatform.batch.manifest import Identity, Manifest, OutputFile
from mlplatform.gates.result import Gate
from tests.backend.batch.conftest import SPEC as BATCH_SPEC
from tests.backend.conftest import SPEC, Backend, Someone, make_settings
from tests.backend.versions import put_version
from tests.conftest import SetClock
from tests.waiting import wait_until

OPEN = {"policy": {"require": {gate.value: None for gate in Gate}}}
TOPICS = {"input": "shop.orders", "output": "shop.scores", "deadLetter": "shop.dead"}
BATCH = {"input": "shop/orders", "output": "shop/scores", "keys": ["id"]}
PERSON = "C-100777"
EMAIL = "ada.quill@example.com"


def privacy_settings(home: Path, database_url: str | None, *, brokers: Any = None, **sections: Any) -> Settings:
    settings = make_settings(
        home,
        database_url,
        environments={"lab": {**OPEN, "brokers": brokers or {}}, "production": OPEN},
        rollouts={"pollInterval": "0.05s", "reconcileInterval": "0.1s"},
        retention={"schedule": None, "runs": None, "batchOutputs": "90d", "datasets": {"shop/orders": "30d"}},
        **sections,
    )
    more = {"ref": "user:default/second", "groups": ["group:default/platform"]}
    document = settings.model_dump(by_alias=True, mode="json")
    document["identity"]["localIssuer"]["users"].append(more)
    return Settings.model_validate(document)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return privacy_settings(settings.home, settings.database.url)


@dataclass
class House:
    """A platform that holds things, and what tests do with it."""

    services: Services
    clock: SetClock

    @property
    def home(self) -> Path:
        return self.services.settings.home

    def lake(self, environment: str = "lab") -> Path:
        return Path(self.services.settings.lake_of(environment))

    def add_versions(self, folder: Path, *numbers: int, batch: bool = False, **changes: Any) -> None:
        """Register versions, each with another artefact."""
        for number in numbers:
            model = folder / f"model-{number}-{batch}"
            model.mkdir(exist_ok=True)
            (model / "MLmodel").write_text(f"flavors: {number} {batch}")
            document = json.loads(json.dumps({**BATCH_SPEC, "batch": BATCH} if batch else SPEC)) | changes
            put_version(self.services, number, document, model)

    def make_live(self, model: str, version: int, environment: str = "lab") -> None:
        now = self.services.clock.now()
        with self.services.database.write() as session:
            session.add(
                Traffic(
                    environment=environment, model=model, version=version, weight=100, mirror=0,
                    state=TrafficState.LIVE, replicas=1,
                )
            )  # fmt: skip
            session.add(
                Deployment(
                    id=new_id(), kind=Kind.ROLLOUT, model=model, version=version, environment=environment, digest="d" * 64,
                    phase=Phase.COMPLETED, outcome=Outcome.PROMOTED, requested_by="user:default/ada", requested_at=now,
                    finished_at=now, requirements=[],
                )
            )  # fmt: skip

    def write_log(self, name: str, *lines: str, age: timedelta = timedelta()) -> Path:
        path = self.home / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        self.age(path, age)
        return path

    def age(self, path: Path, age: timedelta) -> None:
        at = (self.clock.now() - age).timestamp()
        os.utime(path, (at, at))

    def write_orders(self, day: date, rows: Mapping[str, list[Any]], environment: str = "lab") -> Path:
        folder = self.lake(environment) / "shop/orders" / f"date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows).write_parquet(folder / "orders.parquet")
        return folder / "orders.parquet"

    def write_scores(self, day: date, *parts: Mapping[str, list[Any]]) -> Path:
        """Write a partition as a batch run leaves it: parts and a manifest."""
        lake = open_lake(str(self.lake()))
        self.lake().mkdir(parents=True, exist_ok=True)
        staging, outputs = lake.stage("shop/scores", "date", day, "run"), []
        for index, rows in enumerate(parts):
            file = self.home / f"part-{index}"
            pl.DataFrame(rows).write_parquet(file)
            sha256, size = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size
            outputs.append(
                OutputFile(
                    name=part_name(index, sha256), bytes=size, rows=len(next(iter(rows.values()))), sha256=sha256
                )
            )
            staging.put(file, outputs[-1].name)
        now = self.clock.now()
        staging.commit(
            Manifest(
                identity=Identity(model="orders", version=1, model_digest="a", spec_digest="b"), environment="lab",
                day=day.isoformat(), run_id="run", engine="polars", started_at=now, finished_at=now,
                rows_in=sum(file.rows for file in outputs), rows_out=sum(file.rows for file in outputs), rows_rejected=0,
                model_seconds=0, input_path="shop/orders", input_files=[], input_digest="c", output_files=outputs,
                output_digest="d",
            )
        )  # fmt: skip
        return self.lake() / "shop/scores" / f"date={day}"

    def add_samples(self, *requests: Any, model: str = "wine", environment: str = "lab", **at: Any) -> list[str]:
        samples = [
            Sample(new_id(), environment, model, 1, at.get("at", self.clock.now()), request, {"predictions": [1]})
            for request in requests
        ]
        with self.services.database.write() as session:
            self.services.privacy.samples.add(session, samples)
        return [sample.id for sample in samples]

    def samples(self, model: str = "wine", environment: str = "lab") -> list[Any]:
        with self.services.database.read() as session:
            return [one.request for one in self.services.privacy.samples.read(session, environment, model)]


@pytest.fixture
def house(settings: Settings, set_clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[House, Backend]]:
    """The app over HTTP with its durable work, without rollouts, whose loop would need Envoy."""
    set_clock.moment = datetime.now(set_clock.moment.tzinfo)
    app = create_app(settings, clock=set_clock)
    services: Services = app.state.services
    services.runtime._kinds.pop("rollout")
    services.privacy.subjects.wait_for_writer = 0.05
    with TestClient(app, raise_server_exceptions=False) as http:
        yield House(services, set_clock), Backend(http, services)


@pytest.fixture
def here(house: tuple[House, Backend]) -> House:
    return house[0]


@pytest.fixture
def operator(house: tuple[House, Backend]) -> Someone:
    return house[1].someone("operator")


@pytest.fixture
def second(house: tuple[House, Backend]) -> Someone:
    return house[1].someone("second")


@pytest.fixture
def ada(house: tuple[House, Backend]) -> Someone:
    return house[1].someone("ada")


AddModel = Callable[..., None]


@pytest.fixture
def add_model(here: House, tmp_path: Path) -> AddModel:
    """Register a streaming model."""

    def add(broker: str = "nats") -> None:
        model = tmp_path / broker
        model.mkdir()
        (model / "MLmodel").write_text(broker)
        put_version(
            here.services,
            1,
            {**BATCH_SPEC, "name": broker, "type": "streaming", "streaming": {"broker": broker, **TOPICS}},
            model,
        )

    return add


def ended(someone: Someone, path: str, states: tuple[str, ...] = ("done", "failed")) -> dict[str, Any]:
    """Wait until a job is over and return it."""
    seen: dict[str, Any] = {}

    def over() -> bool:
        seen.update(someone.get(path).json())
        return seen.get("state") in states

    wait_until(over, 30, lambda: str(seen))
    return seen


Run = Callable[..., dict[str, Any]]


def retention_run(someone: Someone, *, dry_run: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """Run retention; return the run, and the state of each item by kind and name."""
    asked = someone.post("/privacy/retention/runs", {"dryRun": dry_run})
    assert asked.status_code == 201, asked.text
    done = ended(someone, f"/privacy/retention/runs/{asked.json()['id']}")
    items = someone.get(f"/privacy/retention/runs/{done['id']}/items", limit=500).json()["items"]
    return done, {f"{item['kind']} {item['name']}": item["state"] for item in items}
