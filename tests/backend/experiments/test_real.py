"""Both stories with a real Envoy and two real model servers: what users get, what the platform learns, what is decided."""

import http.client
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.deployments.engine import RolloutEngine
from backend.deployments.targets.local.keeper import ServerSettings
from backend.deployments.targets.local.target import LAUNCHER, LocalTarget
from tests.backend.conftest import ENVIRONMENT_FILES, SPEC, Backend, Someone, Trained, make_settings
from tests.backend.deployments.conftest import OPEN
from tests.backend.targets.machine import serving_machine
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BODY = {"inputs": [{"name": name, "shape": [1], "datatype": "FP64"} for name in ("alcohol", "hue")]}
# Grower 0, grower 1, grower 2, as the first version says.
WINES = [(13.9, 1.05), (12.2, 1.0), (13.1, 0.65)]


@dataclass
class World:
    port: int
    ada: Someone

    def ask(self, wine: tuple[float, float], **headers: str) -> tuple[int, str, str | None, Any]:
        body = json.loads(json.dumps(BODY))
        for tensor, value in zip(body["inputs"], wine, strict=True):
            tensor["data"] = [value]
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", "/lab/wine/v2/models/wine/infer", json.dumps(body), named)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        version, id = answer.getheader("x-model-version"), answer.getheader("x-prediction-id")
        return answer.status, str(version), id, document

    def until(self, id: str, reached: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def looked() -> bool:
            nonlocal found
            found = self.ada.get(f"/experiments/{id}").json()
            return bool(reached(found))

        wait_until(looked, 150, lambda: json.dumps(found, indent=1))
        return found


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory, wine_model: Path, empty_mlflow: Path) -> Iterator[World]:
    """Version 1 tells growers apart and is live; version 2 always says 1."""
    with serving_machine() as machine:
        home, ingress = machine.settings.home, machine.settings.ingress
        (home / "mlflow").mkdir(parents=True)
        shutil.copyfile(empty_mlflow, home / "mlflow" / "mlflow.db")
        settings = make_settings(
            home,
            None,
            environments={"lab": OPEN},
            ingress={"port": ingress.port, "adminPort": ingress.admin_port},
            experiments={"lookInterval": "0.2s", "spooledAfter": "2s", "leastUnits": 20},
        )
        app = create_app(settings)
        services = app.state.services
        services.engine.close()
        ports = machine.settings.serving.port_range
        servers = ServerSettings(launcher=LAUNCHER, port_range=ports, python=Path(sys.executable))
        services.engine = RolloutEngine(services, LocalTarget(machine.folders, servers, admin_port=ingress.admin_port))
        with TestClient(app, raise_server_exceptions=False) as http:
            ada = Backend(http, services).someone("ada")
            for model in (wine_model, always_one(wine_model, tmp_path_factory.mktemp("one"))):
                answer = ada.register(Trained(model, json.loads(json.dumps(SPEC)), files=dict(ENVIRONMENT_FILES)))
                assert answer.status_code == 201, answer.text
            id = ada.post("/deployments", {"model": "wine", "version": 1, "environment": "lab"}).json()["id"]
            wait_until(lambda: ada.get(f"/deployments/{id}").json()["phase"] == "completed", 200)
            yield World(ingress.port, ada)


def always_one(wine_model: Path, folder: Path) -> Path:
    """The same model with another classifier in it."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.datasets import load_wine
    from sklearn.dummy import DummyClassifier

    frame = load_wine(as_frame=True)
    inputs = frame.data[["alcohol", "hue"]]
    model = DummyClassifier(strategy="constant", constant=1).fit(inputs, frame.target)
    mlflow.sklearn.save_model(
        model,
        folder / "model",
        signature=infer_signature(inputs, model.predict(inputs)),
        input_example=inputs.head(2),
        pip_requirements=["scikit-learn"],
    )
    return folder / "model"


def test_a_shadow_run_and_then_an_ab_experiment(world: World) -> None:
    ada = world.ada
    shadow = {"kind": "shadow", "model": "wine", "environment": "lab", "version": 2, "percent": 100, "reason": "try it"}
    id = ada.post("/experiments", shadow).json()["id"]
    world.until(id, lambda one: one["phase"] == "running")
    answers = [world.ask(wine) for wine in WINES * 10]
    assert {(status, version, prediction) for status, version, prediction, _ in answers} == {(200, "1", None)}
    said = [document["outputs"][0]["data"][0] for *_, document in answers[:3]]
    assert len(set(said)) == 3, said
    figures = world.until(id, lambda one: one["figures"]["compared"] == 30)["figures"]
    assert (figures["agreed"], figures["largestDifference"], figures["unreadable"]) == (10, 1.0, 0)
    pairs = ada.get(f"/experiments/{id}/pairs", differing=True).json()["items"]
    assert {pair["where"] for pair in pairs} == {"outputs[0].data[0]: 0.0 and 1.0", "outputs[0].data[0]: 2.0 and 1.0"}
    assert world.until(id, lambda one: "traffic" in one["figures"])["phase"] == "running"
    ada.post(f"/experiments/{id}/stop", {"reason": "seen enough"})

    tested = {"name": "returned", "better": "lower", "effect": 0.3}
    wish = {**shadow, "kind": "ab", "percent": 50, "keyHeader": "x-customer", "metric": tested}
    id = ada.post("/experiments", wish).json()["id"]
    world.until(id, lambda one: one["phase"] == "running")
    customers = [f"customer-{number}" for number in range(90)]
    met = {name: world.ask(WINES[0], x_customer=name) for name in customers}
    assert {version for _, version, _, _ in met.values()} == {"1", "2"}
    again = {name: world.ask(WINES[0], x_customer=name)[1] for name in customers}
    assert again == {name: version for name, (_, version, _, _) in met.items()}
    assert {world.ask(WINES[0])[1:3] for _ in range(5)} == {("1", None)}
    found = world.until(id, lambda one: one["figures"]["predictions"] == 180 and one["figures"]["withoutKey"] == 5)
    assert (sum(found["figures"]["keys"].values()), found["figures"]["split"]["mismatch"]) == (90, False)

    outcomes = [
        {"predictionId": prediction, "value": float((version == "1") != (number % 10 == 0))}
        for number, (_, version, prediction, _) in enumerate(met.values())
    ]
    assert ada.post(f"/experiments/{id}/outcomes", {"outcomes": outcomes}).json()["taken"] == 90
    found = world.until(id, lambda one: one["phase"] == "ended")
    assert (found["phase"], found["outcome"]) == ("ended", "challenger_better"), found
    wait_until(lambda: {world.ask(WINES[0], x_customer=name)[1] for name in customers[:20]} == {"1"}, 60)

    decided = ada.post(f"/experiments/{id}/decision", {"decision": "promote", "reason": "fewer returns"}).json()
    rollout = ada.get(f"/deployments/{decided['deployment']}").json()
    assert (rollout["version"], rollout["kind"]) == (2, "rollout")
    aborted = ada.post(f"/deployments/{rollout['id']}/abort", {"reason": "the story ends here"})
    assert aborted.status_code == 200, aborted.text
